"""One cell of the study of labels and unlabeled pictures, small enough for two CPU cores.

The recipe of configs/wider_blur.py at 64 px, without noise and with a shorter average. No validation but the one at
the end, so that nothing is chosen by labels beyond the counted ones.

Command:  python benchmarks/study.py --config.data.manual_dir=DIR --workdir=runs/study
Machine:  2 CPU cores, no accelerator
Result:   README.md, section "Results"
"""

import ml_collections

from configs import wider_blur


def get_config() -> ml_collections.ConfigDict:
    """Returns the config."""
    config = wider_blur.get_config()
    config.data.image_size = 64
    config.model.center = False
    config.steps = config.checkpoint_every = 120
    # As when the committed table was made: both came to configs/wider_blur.py afterwards.
    config.ema_decay = 0.98
    config.augment.noise = 0.0
    config.batch.unlabeled = 8
    config.consistency.warmup_steps = 40
    # The study turns off what it compares with.
    config.consistency.pairwise_weight = 1.0
    return config
