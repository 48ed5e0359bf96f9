"""Prepares a data set on disk: `python -m tfds_builders.prepare --dataset=demo_face_blur`.

A command of its own, since `tfds build` needs TensorFlow. What is prepared already is left as it is; another image
size, or changed lists, are prepared beside it.
"""

import contextlib
import dataclasses
import io
import os
import sys
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import ml_collections
import tensorflow_datasets as tfds

from blur_jax.data import splits, user_cache
from blur_jax.data.preprocessing import Preprocessing
from blur_jax.runs.config import uses_unlabeled
from tfds_builders import schema
from tfds_builders.demo_face_blur import DemoFaceBlur
from tfds_builders.folder_face_blur import FolderFaceBlur
from tfds_builders.ssranking_face_blur import SsrankingFaceBlur

BUILDERS = {
    "demo_face_blur": DemoFaceBlur,
    "folder_face_blur": FolderFaceBlur,
    "ssranking_face_blur": SsrankingFaceBlur,
}
ALL_PARTS = tuple(kind for kind in schema.KINDS if kind != "faces")


class Prepared(NamedTuple):
    """A prepared data set: the hash of what it was made of, for `config.data.sources`, and the folder of each part."""

    sources: str
    folders: list[str]


def required_parts(config: ml_collections.ConfigDict, mode: str) -> tuple[str, ...]:
    """Returns the parts of the data set that a run of `config` cannot do without in `mode`, one of launch.py."""
    if mode == "evaluate":  # On test faces; on labeled pairs where there are none.
        return ()
    return ("labeled", "unlabeled") if uses_unlabeled(config) else ("labeled",)


def prepare_configured(config: ml_collections.ConfigDict, required: Collection[str] = ALL_PARTS) -> str:
    """Prepares the data set that `config`, a run's `config.data`, describes; returns its `sources`.

    Without the lists, leave out `manual_dir` to use what is prepared.

    Args:
        config: the description.
        required: the parts that the caller cannot do without; others are prepared where there is anything for them.

    Raises:
        ValueError: as `prepare`; or several data sets are prepared and the config does not say which to take; or the
            lists and pictures are not those that `sources` names.
        FileNotFoundError: something to build from is missing.
    """
    named = config.sources is not None or _builder_class(config.name).NEEDS_MANUAL_DIR
    if named and config.manual_dir is None:
        with contextlib.suppress(FileNotFoundError):
            return splits.prepared_sources(config)
    return prepare(
        config.name,
        data_dir=config.dir,
        preprocessing=Preprocessing(image_size=config.image_size, context=config.context),
        manual_dir=config.manual_dir,
        allow_missing=config.allow_missing,
        sources=config.sources,
        required=required,
    ).sources


def prepare(
    name: str,
    *,
    data_dir: str | None = None,
    sources: str | None = None,
    required: Collection[str] = ALL_PARTS,
    **options: Any,
) -> Prepared:
    """Builds the parts of a data set below `data_dir`, each whole or not at all.

    Everything is checked before anything is written.

    Args:
        name: a key of `BUILDERS`.
        data_dir: where prepared data live; None is `user_cache.default_dir()`.
        sources: refuse to build from anything but what this hash names; None takes what there is.
        required: the parts that the caller cannot do without; others are built where there is anything for them.
        **options: those of `open_faces`.

    Raises:
        ValueError: an unknown name, arguments that the data set does not take, other sources, or lists and pictures
            with problems.
        FileNotFoundError: something to build from is missing.
    """
    data_dir = os.path.abspath(os.path.expanduser(data_dir or user_cache.default_dir()))
    faces = open_faces(name, data_dir=data_dir, **options)
    found = faces.sources_fingerprint()
    if sources not in (None, found):
        where = "the lists and pictures have" if faces.NEEDS_MANUAL_DIR else "this version makes"
        raise ValueError(
            f"config.data.sources={sources} is not prepared, and {where} {found}; leave out config.data.sources to use"
            " these, or config.data.manual_dir to use what was prepared"
        )
    faces.check(required)
    os.makedirs(data_dir, exist_ok=True)
    builders = [faces, *(faces.part(kind) for kind in ALL_PARTS if faces.has(kind))]
    for builder in builders:
        fresh = not os.path.exists(builder.data_path)
        with _quiet():
            builder.download_and_prepare()
        if fresh:
            counts = ", ".join(f"{split} {info.num_examples}" for split, info in sorted(builder.info.splits.items()))
            print(f"prepared {builder.kind} ({counts}) in {builder.data_path}", file=sys.stderr)
    return Prepared(found, [str(builder.data_path) for builder in builders])


def open_faces(
    name: str,
    *,
    data_dir: str,
    preprocessing: Preprocessing | None = None,
    manual_dir: str | None = None,
    allow_missing: bool = False,
) -> schema.BlurDataset:
    """Returns the builder of the faces of a data set; nothing is written.

    Args:
        name: a key of `BUILDERS`.
        data_dir: where prepared data live.
        preprocessing: the crop and resize protocol; None takes the data set's own.
        manual_dir: the user's pictures and lists, for the data sets that need them.
        allow_missing: accept that some pictures of the lists are missing.

    Raises:
        ValueError: an unknown name, or arguments that the data set does not take.
        FileNotFoundError: there is no such `manual_dir`.
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
        options = {"manual_dir": manual_dir, "allow_missing": allow_missing}
    elif manual_dir or allow_missing:
        raise ValueError(f"{name} comes with its own pictures; leave out manual_dir and allow_missing")
    return builder_class(config="faces", data_dir=data_dir, preprocessing=preprocessing, **options)


def check(name: str, *, data_dir: str | None = None, **options: Any) -> None:
    """Checks lists and pictures as `prepare` does, and writes nothing; arguments and errors are those of `prepare`."""
    faces = open_faces(
        name, data_dir=os.path.abspath(os.path.expanduser(data_dir or user_cache.default_dir())), **options
    )
    faces.check()
    faces.face_examples()  # Where it reads pictures, it does so before the first example is asked for.


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps TFDS from printing sizes it does not know, and a bar for each step of writing."""
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.enable_progress_bar()


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
    flags.DEFINE_string("manual_dir", None, "Your pictures and lists (folder_face_blur, ssranking_face_blur).")
    flags.DEFINE_boolean("check", False, "Only say what is wrong with the lists and pictures; write nothing.")
    flags.DEFINE_boolean("allow_missing", False, "Accept that some pictures of the lists are missing.")
    flags.DEFINE_integer("image_size", None, "Side of the stored square images, in pixels; default the data set's own.")
    flags.DEFINE_float("context", None, "Side of the square crop over the longer side of the face box; default 1.")

    def run(argv: list[str]) -> None:
        if len(argv) > 1:
            raise app.UsageError(f"unknown argument {argv[1]!r}; see --help")
        values = flags.FLAGS
        if not values["verbosity"].present:
            logging.set_verbosity(logging.WARNING)
        try:
            protocol = {"image_size": values.image_size, "context": values.context}
            protocol = {field: value for field, value in protocol.items() if value is not None}
            options = {
                "data_dir": values.data_dir,
                "preprocessing": dataclasses.replace(BUILDERS[values.dataset].DEFAULT, **protocol),
                "manual_dir": values.manual_dir,
                "allow_missing": values.allow_missing,
            }
            if values.check:
                check(values.dataset, **options)
                print(f"{values.manual_dir or values.dataset}: nothing has to be corrected")
                return
            prepared = prepare(values.dataset, required=(), **options)
        except (ValueError, OSError) as error:
            if logging.get_verbosity() > logging.INFO:
                raise
            sys.exit(f"prepare: {error}")
        print("\n".join(prepared.folders))

    app.run(run)


if __name__ == "__main__":
    main()
