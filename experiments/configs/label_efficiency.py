"""One run of experiments/label_efficiency.py, small enough for two CPU cores.

It validates only at the end, so no decision uses labels beyond those that are counted.

Command:  python -m experiments.label_efficiency --config.data.manual_dir=DIR --far=PHOTOS --workers=2
Machine:  2 CPU cores, no accelerator
Time:     90 minutes for 48 runs (--seeds=2) on a shared machine
Result:   docs/results.md, "Label efficiency"
"""

import ml_collections

from experiments.configs import leave_event_out


def get_config() -> ml_collections.ConfigDict:
    config = leave_event_out.get_config()
    config.steps = config.checkpoint_every = 100
    config.model.frozen_blocks = 11
    # For each run, the experiment sets unused weights to 0.
    config.consistency.update(pairwise_weight=1.0, distillation_weight=16.0, warmup_steps=50, pairs_per_degradation=4)
    config.degradation.families = ("downup",)
    config.degradation.update(rms_min=0.01, noise_max=0.0, jpeg_min_quality=None)
    config.augment.noise = 0.0
    config.optimizer.learning_rate = 1e-3
    config.ema_decay = 0.98
    return config
