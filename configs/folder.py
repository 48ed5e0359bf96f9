"""Trains on your own pictures: a folder with pairs.csv, using the recipe in configs/wider_blur.py.

PHOTOS is a folder of pictures with a pairs.csv of at least twenty pairs; see docs/data.md. The results are for this
recipe on WIDER FACE, with 300 of its pairs.

Command:  python launch.py --config=configs/folder.py --config.data.manual_dir=PHOTOS --workdir=RUN
Machine:  2 CPU cores, no accelerator
Time:     4 minutes
Result:   agreement with judges 0.860 near, 0.782 far; size-matched AUC 0.856 near, 0.818 far (docs/results.md)
"""

import ml_collections

from configs import wider_blur


def get_config() -> ml_collections.ConfigDict:
    config = wider_blur.get_config()
    config.data.name = "folder_face_blur"
    return config
