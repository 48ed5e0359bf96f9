"""The recipe that experiments/ablation.py varies: configs/wider_blur.py.

Command:  python -m experiments.ablation --config.data.manual_dir=LISTS --far=CELEBA --judged=JUDGED
Machine:  2 CPU cores, no accelerator
Time:     40 minutes for 10 runs (--seeds=2)
Result:   docs/results.md, "Ablation"
"""

from configs.wider_blur import get_config as get_config
