"""Configs of checkpoints that older versions wrote, brought to today's fields, so that they still load and score."""

import copy
from typing import Any

# Old field -> today's; None where it is gone.
_RENAMED = {
    "model.centre": "center",
    "augment.colour": "color",
    "consistency.gate": "confidence_threshold",
    "consistency.teacher": None,
    "optimizer.schedule": None,
}
# Values that stood for "off" or "unset", which is None today.
_OFF = {
    "model.blocks": 0,
    "model.linear_probe": 0,
    "optimizer.clip_norm": 0,
    "degradation.jpeg_min_quality": 100,
    "data.labeled_count": 0,
    "data.leave_out": "",
    "data.dir": "",
    "data.manual_dir": "",
}
# Fields that older versions did without -> what they did.
_ADDED = {
    "consistency.distillation_weight": 0.0,
    "consistency.temperature": 0.2,
    "consistency.group": 1,
    "consistency.shared": True,
    "optimizer.skips": 0,
}


def upgrade(config: dict[str, Any]) -> dict[str, Any]:
    """Returns a recorded config in today's fields; one of today comes back as it is."""
    config = copy.deepcopy(config)
    for name, value in _ADDED.items():
        group, field = name.split(".")
        if group in config:
            config[group].setdefault(field, value)
    if "schedule" not in config.get("optimizer", {}):  # Fields were renamed when this one went.
        return config
    for name, renamed in _RENAMED.items():
        group, field = name.split(".")
        if field in config.get(group, {}):
            value = config[group].pop(field)
            if renamed:
                config[group][renamed] = value
    for name, off in _OFF.items():
        group, field = name.split(".")
        if config.get(group, {}).get(field) == off:
            config[group][field] = None
    if config.get("ema_decay") == 0:
        config["ema_decay"] = None
    return config
