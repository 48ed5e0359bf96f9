"""The paper's own recipe on real photographs: margin ranking and quadruplet ranking consistency, and nothing else.

The abstract and figures of arXiv 2207.06085 state both losses and that a pair shares its degradation. They do not state
the following, so these are our choices: the backbone and its start (EfficientNet-Lite0 with ImageNet weights, whose
first eight blocks stay frozen, as in configs/wider_blur.py), the input (128 px, the face box itself), the margins, the
weight of consistency and its warm-up (as in configs/default.py), the degradations (Gaussian and anisotropic blur, and
resampling), the augmentations, the optimizer and the number of steps.

Command:  python launch.py --config=configs/paper.py --config.data.manual_dir=DIR --workdir=runs/paper
Machine:  2 CPU cores, no accelerator
Time:     4 minutes
Result:   agreement with judges 0.790 near, 0.526 far; size-matched AUC 0.859 near, 0.793 far (docs/results.md)
"""

import ml_collections

from configs import wider_blur


def get_config() -> ml_collections.ConfigDict:
    config = wider_blur.get_config()
    config.steps = config.checkpoint_every = 300
    config.probe.update(strength=None, content=0.0, changes=0.0, fine_detail=0.0)
    config.ranking.update(weight=1.0, margin=0.1)
    config.consistency.update(quadruplet_weight=1.0, distillation_weight=0.0, teach_degraded=False)
    config.consistency.update(share_degradation=True, pairs_per_degradation=1, warmup_steps=100)
    config.degradation.update(families=("gaussian", "anisotropic", "downup"), rms_min=0.01, rms_max=0.06)
    config.optimizer.learning_rate = 1e-3
    config.ema_decay = None
    return config
