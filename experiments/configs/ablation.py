"""The recipe that experiments/ablation.py varies: configs/wider_blur.py on 30 November 2026.

Command:  python -m experiments.ablation --config.data.manual_dir=LISTS --far=CELEBA --judged=JUDGED
Machine:  2 CPU cores, no accelerator
Time:     30 minutes for 8 runs (--seeds=2)
Result:   docs/results.md, "Ablation"
"""

import ml_collections

from experiments.configs import label_teacher


def get_config() -> ml_collections.ConfigDict:
    config = label_teacher.get_config()
    config.steps = 0
    config.start_from = "portraits-2"
    config.probe.update(strength=3e-6, prior=10.0)
    config.ranking.weight = 0.25
    config.consistency.update(warmup_steps=0, teach_degraded=True, share_degradation=False)
    config.degradation.update(rms_min=0.004, rms_max=0.044)
    return config
