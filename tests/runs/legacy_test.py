"""Checkpoints of older versions: their configs in today's fields."""

from blur_jax.runs import legacy

OLD = {
    "seed": 3,
    "ema_decay": 0.0,
    "model": {"backbone": "small", "blocks": 0, "centre": True, "linear_probe": 0.0},
    "augment": {"colour": 0.1},
    "optimizer": {"schedule": "cosine", "clip_norm": 0.0},
    "consistency": {"gate": 0.2, "teacher": "student"},
    "degradation": {"jpeg_min_quality": 100},
    "data": {"dir": "", "manual_dir": "", "leave_out": "", "labeled_count": 0, "name": "demo_face_blur"},
}
NEW = {
    "seed": 3,
    "ema_decay": None,
    "model": {"backbone": "small", "blocks": None, "center": True, "linear_probe": None},
    "augment": {"color": 0.1},
    "optimizer": {"clip_norm": None, "skips": 0},
    "consistency": {
        "confidence_threshold": 0.2,
        "distillation_weight": 0.0,
        "temperature": 0.2,
        "group": 1,
        "shared": True,
    },
    "degradation": {"jpeg_min_quality": None},
    "data": {"dir": None, "manual_dir": None, "leave_out": None, "labeled_count": None, "name": "demo_face_blur"},
}


def test_an_old_config_in_todays_fields():
    assert legacy.upgrade(OLD) == NEW
    assert OLD["model"]["centre"] is True  # what was given is left as it is


def test_values_that_were_set_stay():
    old = {"model": {"blocks": 11, "linear_probe": 1e-4}, "data": {"dir": "/data"}, "ema_decay": 0.99}
    assert legacy.upgrade(old) == old


def test_what_means_something_today_stays():
    today = {"degradation": {"jpeg_min_quality": 100}, "optimizer": {"clip_norm": None, "skips": 0}}
    assert legacy.upgrade(today) == today


def test_a_config_of_today_stays_as_it_is():
    assert legacy.upgrade(NEW) == NEW
