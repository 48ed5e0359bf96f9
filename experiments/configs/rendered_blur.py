"""No human label at all: the network of configs/wider_blur.py trained on rendered blur alone, a rival to compare with.

A degraded copy must score higher than its own original (the idea of RankIQA, Liu et al., ICCV 2017). Labels are used
for the validation accuracy that is shown, and for nothing else.

Command:  python launch.py --config=configs/wider_rendered.py --config.data.manual_dir=DIR --workdir=runs/rendered
Machine:  2 CPU cores, no accelerator
Result:   README.md, section "Results"
"""

import ml_collections

from configs import wider_blur


def get_config() -> ml_collections.ConfigDict:
    """Returns the config."""
    config = wider_blur.get_config()
    config.steps = config.checkpoint_every = 100
    config.ema_decay = 0.98
    config.augment.noise = 0.0
    config.model.linear_probe = 0.0
    config.ranking.weight = 0.0
    config.consistency.quadruplet_weight = 0.0
    config.consistency.pairwise_weight = 1.0
    config.consistency.margin = 0.3
    # With no label to learn from, a wide range of blur, up to no more than a shape.
    config.degradation.rms_min = 0.01
    config.degradation.rms_max = 0.06
    config.degradation.noise_max = 0.05
    config.degradation.jpeg_min_quality = 40
    return config
