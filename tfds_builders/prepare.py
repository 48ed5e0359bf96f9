"""Prepares a data set on disk: `python -m tfds_builders.prepare --dataset=demo_face_blur`.

A command of its own, since `tfds build` needs TensorFlow. What is prepared already is left as it is; another image
size, or changed lists, are prepared beside it.
"""

import contextlib
import os
import sys
from typing import NamedTuple

import ml_collections

from blur_jax import data
from blur_jax.preprocessing import Preprocessing
from tfds_builders import schema
from tfds_builders.demo_face_blur import DemoFaceBlur
from tfds_builders.ssranking_face_blur import SsrankingFaceBlur

BUILDERS = {"demo_face_blur": DemoFaceBlur, "ssranking_face_blur": SsrankingFaceBlur}


class Prepared(NamedTuple):
    """A prepared data set: the hash of what it was made of, for `config.data.sources`, and the folder of each part."""

    sources: str
    folders: list[str]


def prepare_configured(config: ml_collections.ConfigDict) -> str:
    """Prepares the data set that `config`, a run's `config.data`, describes; returns its `sources`.

    Without the lists, leave out `manual_dir` to use what is prepared.

    Raises:
        ValueError: as `prepare`; or several data sets are prepared and the config does not say which to take; or the
            lists and pictures are not those that `sources` names.
        FileNotFoundError: something to build from is missing.
    """
    named = config.sources is not None or _builder_class(config.name).NEEDS_MANUAL_DIR
    if named and config.manual_dir is None:
        with contextlib.suppress(FileNotFoundError):
            return data.prepared_sources(config)
    return prepare(
        config.name,
        data_dir=config.dir,
        preprocessing=Preprocessing(image_size=config.image_size, context=config.context),
        manual_dir=config.manual_dir,
        partial=config.partial,
        sources=config.sources,
    ).sources


def prepare(
    name: str,
    *,
    data_dir: str | None = None,
    preprocessing: Preprocessing | None = None,
    manual_dir: str | None = None,
    partial: bool = False,
    sources: str | None = None,
) -> Prepared:
    """Builds the parts of a data set below `data_dir`, each whole or not at all.

    Args:
        name: a key of `BUILDERS`.
        data_dir: where prepared data live; None is `blur_jax.data.default_dir()`.
        preprocessing: the crop and resize protocol; None takes the data set's own.
        manual_dir: the user's image folders and lists, for the data sets that need them.
        partial: accept that some pictures of the lists are missing.
        sources: refuse to build from anything but what this hash names; None takes what there is.

    Raises:
        ValueError: an unknown name, arguments that the data set does not take, other sources, or lists and pictures
            with problems.
        FileNotFoundError: something to build from is missing.
    """
    builder_class, options = _builder_class(name), {}
    if builder_class.NEEDS_MANUAL_DIR:
        if not manual_dir:
            raise ValueError(
                f"{name} is built from your own files; say where they are (--manual_dir, --config.data.manual_dir)"
            )
        manual_dir = os.path.abspath(os.path.expanduser(manual_dir))
        if not os.path.isdir(manual_dir):
            raise FileNotFoundError(f"there is no folder {manual_dir} (--manual_dir, --config.data.manual_dir)")
        options = {"manual_dir": manual_dir, "partial": partial}
    elif manual_dir or partial:
        raise ValueError(f"{name} comes with its own pictures; leave out manual_dir and partial")
    data_dir = os.path.abspath(os.path.expanduser(data_dir or data.default_dir()))
    os.makedirs(data_dir, exist_ok=True)
    faces = builder_class(config="faces", data_dir=data_dir, preprocessing=preprocessing, **options)
    builders = [faces, *(faces.part(kind) for kind in schema.KINDS if kind != "faces")]
    found = builders[-1].sources_fingerprint()
    if sources not in (None, found):
        where = "the lists and pictures have" if builder_class.NEEDS_MANUAL_DIR else "this version makes"
        raise ValueError(
            f"config.data.sources={sources} is not prepared, and {where} {found}; leave out config.data.sources to use"
            " these, or config.data.manual_dir to use what was prepared"
        )
    for builder in builders:
        builder.check()
    for builder in builders:
        # TFDS prints on standard output, which belongs to the results of the command that was called.
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare()
    return Prepared(found, [str(builder.data_path) for builder in builders])


def _builder_class(name: str) -> type[schema.BlurDataset]:
    if name not in BUILDERS:
        raise ValueError(f"there is no data set {name!r}; choose one of {', '.join(sorted(BUILDERS))}")
    return BUILDERS[name]


def main() -> None:
    """Runs the command."""
    # Flags are defined here, since launch.py, which has its own, imports this module.
    from absl import app, flags, logging

    flags.DEFINE_enum("dataset", "demo_face_blur", sorted(BUILDERS), "The data set to prepare.")
    flags.DEFINE_string("data_dir", None, "Where prepared data live; default $BLUR_JAX_DATA or ~/.cache/blur_jax.")
    flags.DEFINE_string("manual_dir", None, "Your image folders and lists (ssranking_face_blur).")
    flags.DEFINE_boolean("partial", False, "Accept that some pictures of the lists are missing.")
    flags.DEFINE_integer("image_size", 64, "Side of the stored square images, in pixels.")
    flags.DEFINE_float("context", 1.0, "Side of the square crop over the longer side of the face box.")

    def run(argv: list[str]) -> None:
        if len(argv) > 1:
            raise app.UsageError(f"unknown argument {argv[1]!r}; see --help")
        values = flags.FLAGS
        try:
            prepared = prepare(
                values.dataset,
                data_dir=values.data_dir,
                preprocessing=Preprocessing(image_size=values.image_size, context=values.context),
                manual_dir=values.manual_dir,
                partial=values.partial,
            )
        except (ValueError, OSError) as error:
            if logging.get_verbosity() > logging.INFO:
                raise
            sys.exit(f"prepare: {error}")
        print("\n".join(prepared.folders))

    app.run(run)


if __name__ == "__main__":
    main()
