"""The data of experiments/active_labeling.py; it trains no network.

Command:  python -m experiments.active_labeling --config.data.manual_dir=DIR --far=PHOTOS --workers=2
Machine:  2 CPU cores, no accelerator
Time:     see docs/labeling.md
Result:   docs/results.md, "Active labeling"
"""

import ml_collections

from experiments.configs import leave_event_out


def get_config() -> ml_collections.ConfigDict:
    return leave_event_out.get_config()
