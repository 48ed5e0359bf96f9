"""A baseline without human labels: the network of the best recipe, trained only on rendered blur.

A degraded copy must score higher than its original (RankIQA, Liu et al., ICCV 2017). Labels are used only for
validation.

Command:  python launch.py --config=experiments/configs/rendered_blur.py --config.data.manual_dir=DIR --workdir=WORKDIR
Machine:  2 CPU cores, no accelerator
Time:     3 minutes
Result:   docs/results.md, "Pseudo-labels", the row `rendered_blur`
"""

import ml_collections

from experiments.configs import leave_event_out


def get_config() -> ml_collections.ConfigDict:
    config = leave_event_out.get_config()
    config.steps = config.checkpoint_every = 100
    config.probe.strength = None
    config.ranking.weight = 0.0
    config.consistency.update(quadruplet_weight=0.0, pairwise_weight=1.0, margin=0.3)
    # A wide range of blur, because there are no labels to show which blur matters.
    config.degradation.update(rms_min=0.01, rms_max=0.06, noise_max=0.05, jpeg_min_quality=40)
    config.augment.noise = 0.0
    config.ema_decay = 0.98
    return config
