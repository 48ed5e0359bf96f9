"""Prepares a data set on disk: `python -m tfds_builders.prepare --dataset=demo_face_blur`.

This is a separate command because `tfds build` needs TensorFlow. Data with a different image size or from changed lists
are stored next to existing data.
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

from blur_jax.data import largest_faces, splits, user_cache
from blur_jax.data.picture_lists import BOXES_FILE
from blur_jax.data.preprocessing import Preprocessing
from blur_jax.runs import command_line
from blur_jax.runs.config import reads_unlabeled
from tfds_builders import schema
from tfds_builders.demo_face_blur import DemoFaceBlur
from tfds_builders.folder_face_blur import FolderFaceBlur
from tfds_builders.portrait_blur import PortraitBlur
from tfds_builders.ssranking_face_blur import SsrankingFaceBlur

BUILDERS: dict[str, type[schema.BlurDataset]] = {
    "demo_face_blur": DemoFaceBlur,
    "folder_face_blur": FolderFaceBlur,
    "portrait_blur": PortraitBlur,
    "ssranking_face_blur": SsrankingFaceBlur,
}
ALL_PARTS = tuple(kind for kind in schema.KINDS if kind != "faces")


class Prepared(NamedTuple):
    """A prepared data set: the hash of its sources (for `config.data.sources`), and the folders of its parts."""

    sources: str
    folders: list[str]


def required_parts(config: ml_collections.ConfigDict, mode: str) -> tuple[str, ...]:
    """Returns the parts of the data set that a run with `config` needs in `mode` (see launch.py)."""
    if mode == "evaluate":  # An evaluation uses test faces or, if there are none, labeled pairs.
        return ()
    return ("labeled", "unlabeled") if reads_unlabeled(config) else ("labeled",)


def prepare_configured(config: ml_collections.ConfigDict, required: Collection[str] = ALL_PARTS) -> str:
    """Prepares the data set that a run's `config.data` describes and returns its `sources`; see `prepare`.

    Without `config.manual_dir`, prepared data are used if they exist.

    Raises:
        ValueError: like `prepare`; or more than one data set is prepared and `config.sources` does not select one.
        FileNotFoundError: a source file is missing.
    """
    reusable = config.sources is not None or _builder_class(config.name).NEEDS_MANUAL_DIR
    if reusable and config.manual_dir is None:
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
    name: str, *, sources: str | None = None, required: Collection[str] = ALL_PARTS, **options: Any
) -> Prepared:
    """Builds the parts of a data set; checks everything before writing, and writes each part atomically.

    If `sources` is given, sources with a different hash are refused. Parts that are not `required` are built if the
    sources contain data for them. For `options`, see `open_faces`.

    Raises:
        ValueError: like `open_faces`; or the sources have a different hash or other problems.
        FileNotFoundError: a source file is missing.
    """
    faces = open_faces(name, **options)
    fingerprint = faces.sources_fingerprint()
    if sources not in (None, fingerprint):
        origin = "your lists and pictures have" if faces.NEEDS_MANUAL_DIR else "this version produces"
        raise ValueError(
            f"no data are prepared for config.data.sources={sources}, but {origin} the hash {fingerprint}; omit"
            " config.data.sources to use that, or omit config.data.manual_dir to use prepared data"
        )
    faces.check(required)
    builders = [faces, *(faces.part(kind) for kind in ALL_PARTS if faces.has(kind))]
    for builder in builders:
        is_new = not os.path.exists(builder.data_path)
        with _quiet():
            builder.download_and_prepare()
        if is_new:
            counts = ", ".join(f"{split} {info.num_examples}" for split, info in sorted(builder.info.splits.items()))
            print(f"prepared {builder.kind} ({counts}) in {builder.data_path}", file=sys.stderr)
    return Prepared(fingerprint, [str(builder.data_path) for builder in builders])


def open_faces(
    name: str,
    *,
    data_dir: str | None = None,
    preprocessing: Preprocessing | None = None,
    manual_dir: str | None = None,
    allow_missing: bool = False,
) -> schema.BlurDataset:
    """Returns the builder for a data set's faces; writes nothing.

    `data_dir` contains all prepared data and defaults to `user_cache.default_dir()`. `manual_dir` contains the user's
    pictures and lists, for data sets that need them.

    Raises:
        ValueError: the name is unknown, or the data set does not accept these arguments.
        FileNotFoundError: `manual_dir` does not exist.
    """
    data_dir = os.path.abspath(user_cache.expand(data_dir or user_cache.default_dir()))
    builder_class, options = _builder_class(name), {}
    if builder_class.NEEDS_MANUAL_DIR:
        options = {"manual_dir": _manual_folder(name, manual_dir), "allow_missing": allow_missing}
    elif manual_dir or allow_missing:
        raise ValueError(f"{name} comes with its own pictures; omit manual_dir and allow_missing")
    return builder_class(config="faces", data_dir=data_dir, preprocessing=preprocessing, **options)


def check(name: str, **options: Any) -> None:
    """Checks lists and pictures like `prepare` does, but writes nothing; for `options`, see `open_faces`."""
    faces = open_faces(name, **options)
    faces.check()
    faces.face_examples()  # This reads the user's pictures before it returns.


def find_faces(name: str, manual_dir: str | None) -> list[str]:
    """Writes the `boxes.csv` of a data set's `manual_dir`; see `largest_faces.write_boxes`.

    Raises ValueError, too, if the data set does not read such a file.
    """
    if not _builder_class(name).READS_BOXES:
        raise ValueError(f"--faces: {name} does not read {BOXES_FILE}; omit --faces")
    return largest_faces.write_boxes(_manual_folder(name, manual_dir))


def _manual_folder(name: str, manual_dir: str | None) -> str:
    if not manual_dir:
        raise ValueError(
            f"{name} is built from your own files; pass their folder with --manual_dir or --config.data.manual_dir"
        )
    folder = os.path.abspath(user_cache.expand(manual_dir))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"the folder {folder} does not exist; correct --manual_dir or --config.data.manual_dir")
    return folder


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences TFDS, which prints messages about unknown sizes and many progress bars."""
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.enable_progress_bar()


def _builder_class(name: str) -> type[schema.BlurDataset]:
    if name not in BUILDERS:
        raise ValueError(f"unknown data set {name!r}; choose one of {', '.join(sorted(BUILDERS))}")
    return BUILDERS[name]


def main() -> None:
    # Local imports, because launch.py imports this module and has its own flags.
    from absl import app, flags, logging

    flags.DEFINE_enum("dataset", "demo_face_blur", sorted(BUILDERS), "The data set to prepare.")
    flags.DEFINE_string("data_dir", None, "Folder for prepared data; default: $BLUR_JAX_DATA or ~/.cache/blur_jax.")
    flags.DEFINE_string("manual_dir", None, "Folder with your pictures and lists, except for demo_face_blur.")
    flags.DEFINE_boolean("faces", False, "Unless MANUAL_DIR has a boxes.csv, write it: each picture's largest face.")
    flags.DEFINE_boolean("check", False, "Report problems with the lists and pictures, and write nothing.")
    flags.DEFINE_boolean("allow_missing", False, "Skip lines whose pictures are missing or unusable.")
    flags.DEFINE_integer("image_size", None, "Side of the stored images in pixels; default: depends on the data set.")
    flags.DEFINE_float("context", None, "Ratio of the crop's side to the longer side of the face box; default: 1.")

    def run(argv: list[str]) -> None:
        if len(argv) > 1:
            raise app.UsageError(f"unknown argument {argv[1]!r}; see --help")
        values = flags.FLAGS
        if not values["verbosity"].present:
            logging.set_verbosity(logging.WARNING)
        try:
            protocol = {"image_size": values.image_size, "context": values.context}
            protocol = {field: value for field, value in protocol.items() if value is not None}
            options: dict[str, Any] = {
                "data_dir": values.data_dir,
                "preprocessing": dataclasses.replace(BUILDERS[values.dataset].DEFAULT, **protocol),
                "manual_dir": values.manual_dir,
                "allow_missing": values.allow_missing,
            }
            if values.faces and values.check:
                raise ValueError("--check writes nothing, but --faces writes a boxes.csv; omit one of the two")
            if values.faces:
                print("\n".join(find_faces(values.dataset, values.manual_dir)), file=sys.stderr)
            if values.check:
                check(values.dataset, **options)
                print(f"{values.manual_dir or values.dataset}: no problems found")
                return
            prepared = prepare(values.dataset, required=(), **options)
        except Exception as error:
            if logging.get_verbosity() > logging.INFO or isinstance(error, command_line.BUGS):
                raise
            sys.exit(f"prepare: {command_line.sentence(error)}")
        except KeyboardInterrupt:
            sys.exit(command_line.interrupted("prepare"))
        print("\n".join(prepared.folders))

    app.run(run)


if __name__ == "__main__":
    main()
