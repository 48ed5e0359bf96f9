"""The data on which experiments/content.py measures scorers; other fields are not used.

Command:  python -m experiments.content --config.data.manual_dir=CELEBA --run=ours=runs/wider_blur
Machine:  2 CPU cores, no accelerator
Time:     3 minutes
Result:   docs/results.md, "Content"
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    config = default.get_config()
    config.data.name = "folder_face_blur"
    config.data.image_size = 128
    config.evaluation.resamples = 1000
    return config
