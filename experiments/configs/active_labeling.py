"""The data of experiments/active_labeling.py; it trains no network.

Command:  python -m experiments.active_labeling --config.data.manual_dir=DIR --far=PHOTOS --workers=2 --seeds=6
Machine:  2 CPU cores, no accelerator
Time:     15 minutes for 96 replays on a shared machine
Result:   docs/results.md, "Active labeling"
"""

import ml_collections

from experiments.configs import leave_event_out


def get_config() -> ml_collections.ConfigDict:
    return leave_event_out.get_config()
