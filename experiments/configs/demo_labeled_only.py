"""The demo without its unlabeled pairs: what the consistency loss has to beat.

Command:  python launch.py --config=configs/demo_labeled_only.py --workdir=runs/demo_labeled_only
Machine:  2 CPU cores, no accelerator
Result:   README.md, section "Results"
"""

import ml_collections

from configs import default


def get_config() -> ml_collections.ConfigDict:
    """The default config with both consistency losses off."""
    config = default.get_config()
    config.consistency.quadruplet_weight = 0.0
    return config
