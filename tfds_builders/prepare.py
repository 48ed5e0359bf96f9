"""Prepares a data set on disk: `python -m tfds_builders.prepare --dataset=demo_face_blur`.

A command of its own, since `tfds build` needs TensorFlow. What is prepared already is left as it is.
"""

import sys

from absl import app, flags, logging

from blur_jax.preprocessing import Preprocessing
from tfds_builders.build import BUILDERS, prepare

_DATASET = flags.DEFINE_enum("dataset", "demo_face_blur", sorted(BUILDERS), "The data set to prepare.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", "", "Where prepared data live; default $BLUR_JAX_DATA or ~/.cache/blur_jax."
)
_MANUAL_DIR = flags.DEFINE_string("manual_dir", "", "Your image folders and lists (ssranking_face_blur).")
_PARTIAL = flags.DEFINE_boolean("partial", False, "Accept that some images of the lists are missing.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 64, "Side of the stored square images, in pixels.")
_CONTEXT = flags.DEFINE_float("context", 1.0, "Side of the square crop over the longer side of the face box.")


def _main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}; see --help")
    try:
        folders = prepare(
            _DATASET.value,
            data_dir=_DATA_DIR.value,
            preprocessing=Preprocessing(image_size=_IMAGE_SIZE.value, context=_CONTEXT.value),
            manual_dir=_MANUAL_DIR.value,
            partial=_PARTIAL.value,
        )
    except (ValueError, OSError) as error:
        if logging.get_verbosity() > logging.INFO:
            raise
        sys.exit(f"prepare: {error}")
    print("\n".join(folders))


if __name__ == "__main__":
    app.run(_main)
