"""The recipe that experiments/ablation.py varies, with a head that is fitted to equal blur and to fine detail.

Command:  python -m experiments.ablation --config.data.manual_dir=LISTS --far=CELEBA --judged=JUDGED
Machine:  2 CPU cores, no accelerator
Time:     50 minutes for 10 runs (--seeds=2)
Result:   docs/results.md, "Ablation"
"""

import ml_collections

from experiments.configs import label_teacher


def get_config() -> ml_collections.ConfigDict:
    config = label_teacher.get_config()
    config.probe.update(strength=1e-5, content=10.0, changes=1.0, fine_detail=0.1)
    config.consistency.update(teach_degraded=True, share_degradation=False)
    config.degradation.update(rms_min=0.004, rms_max=0.044)
    return config
