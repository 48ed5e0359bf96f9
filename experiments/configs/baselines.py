"""The data on which experiments/baselines.py compares scorers; all other fields are ignored.

Command:  python -m experiments.baselines --config.data.manual_dir=DIR --run=ours=runs/wider_blur
Machine:  2 CPU cores, no accelerator
Time:     3 minutes
Result:   docs/results.md, "Judged pairs" and "WIDER FACE against baselines"
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    config = default.get_config()
    config.data.name = "ssranking_face_blur"
    config.data.image_size = 128
    config.evaluation.resamples = 1000
    return config
