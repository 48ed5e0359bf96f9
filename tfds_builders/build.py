"""From the name of a data set to prepared data on disk."""

import contextlib
import os
import sys

import ml_collections

from blur_jax.data import default_dir
from blur_jax.preprocessing import Preprocessing
from tfds_builders import base
from tfds_builders.demo_face_blur import DemoFaceBlur
from tfds_builders.ssranking_face_blur import SsrankingFaceBlur

BUILDERS = {"demo_face_blur": DemoFaceBlur, "ssranking_face_blur": SsrankingFaceBlur}


def prepare_configured(config: ml_collections.ConfigDict) -> list[str]:
    """`prepare` of the data set that `config`, a run's `config.data`, describes."""
    return prepare(
        config.name,
        data_dir=config.dir,
        preprocessing=Preprocessing(image_size=config.image_size, context=config.context),
        manual_dir=config.manual_dir,
        partial=config.partial,
    )


def prepare(
    name: str,
    *,
    data_dir: str = "",
    preprocessing: Preprocessing | None = None,
    manual_dir: str = "",
    partial: bool = False,
) -> list[str]:
    """Builds the three parts of a data set below `data_dir`, each whole or not at all.

    Args:
        name: a key of `BUILDERS`.
        data_dir: where prepared data live; "" is `blur_jax.data.default_dir()`.
        preprocessing: the crop and resize protocol; None takes the data set's own.
        manual_dir: the user's image folders and lists, for the data sets that need them.
        partial: accept that some images of the lists are missing.

    Returns:
        the folders, one for each part.

    Raises:
        ValueError: an unknown name, arguments that the data set does not take, or lists and images with problems.
        FileNotFoundError: something to build from is missing.
    """
    if name not in BUILDERS:
        raise ValueError(f"there is no data set {name!r}; choose one of {', '.join(sorted(BUILDERS))}")
    options = {}
    if BUILDERS[name].NEEDS_MANUAL_DIR:
        if not manual_dir:
            raise ValueError(f"{name} is built from your own files; say where they are (manual_dir)")
        options = {"manual_dir": manual_dir, "partial": partial}
    elif manual_dir or partial:
        raise ValueError(f"{name} comes with its own pictures; leave out manual_dir and partial")
    data_dir = os.path.abspath(os.path.expanduser(data_dir or default_dir()))
    os.makedirs(data_dir, exist_ok=True)
    folders = []
    for kind in base.KINDS:
        builder = BUILDERS[name](config=kind, data_dir=data_dir, preprocessing=preprocessing, **options)
        # TFDS talks on standard output, which belongs to the results of the command that was called.
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare()
        folders.append(str(builder.data_path))
    return folders
