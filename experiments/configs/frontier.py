"""The heads that experiments/frontier.py fits: those of experiments/configs/ablation.py.

Command:  python -m experiments.frontier --config.data.manual_dir=LISTS --far=CELEBA --judged=JUDGED
Machine:  2 CPU cores, no accelerator
Time:     10 minutes
Result:   docs/results.md, "Frontier"
"""

from experiments.configs.ablation import get_config as get_config
