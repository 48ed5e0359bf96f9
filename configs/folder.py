"""Trains on your own pictures: a folder with pairs.csv, using the recipe in configs/wider_blur.py.

PHOTOS is a folder of pictures with a pairs.csv of at least twenty pairs; see docs/data.md. Each label counts over 300
times as much as in configs/wider_blur.py, whose labels are coarse. The results are for this recipe with 300 of those.

Command:  python launch.py --config=configs/folder.py --config.data.manual_dir=PHOTOS --workdir=RUN
Machine:  2 CPU cores, no accelerator
Time:     1 minute
Result:   agreement with judges 0.874 near, 0.808 far; size-matched AUC 0.854 near, 0.844 far (docs/results.md)
"""

import ml_collections

from configs import wider_blur


def get_config() -> ml_collections.ConfigDict:
    config = wider_blur.get_config()
    config.data.name = "folder_face_blur"
    config.probe.strength = 1e-3
    return config
