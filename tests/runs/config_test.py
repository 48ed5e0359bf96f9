"""Every number of a config has a range, and one outside of it is refused in one sentence."""

import importlib
import numbers

import pytest
from ml_collections.config_dict import FieldReference

from blur_jax.data import preprocessing
from blur_jax.runs.config import RANGES, Range, check_ranges
from blur_jax.train import config_check
from configs import default
from tests.helpers.configs import flattened
from tests.helpers.paths import ROOT

CONFIGS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("configs", "experiments/configs")
    for path in (ROOT / folder).glob("*.py")
    if path.stem != "__init__"
)


def numeric_fields():
    """{name: whether it may be unset} of the numbers of configs/default.py."""
    config, found = default.get_config(), {}
    for name in flattened(config):
        group, _, field = name.rpartition(".")
        reference = (config[group] if group else config).get_ref(field)
        assert isinstance(reference, FieldReference)
        kind = reference.get_type()
        if issubclass(kind, numbers.Number) and kind is not bool:
            found[name] = reference.get() is None
    return found


def test_every_number_of_the_default_has_a_range_and_nothing_else_has():
    optional = {name: range_.optional for name, range_ in RANGES.items()}
    assert optional == numeric_fields() | {"optimizer.clip_norm": True}  # Set, but may be unset to clip nothing.


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_is_within_the_ranges(name):
    check_ranges(importlib.import_module(name).get_config())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), -1, 10**20, True, "1"])
def test_what_no_field_may_be(value):
    assert [name for name, range_ in RANGES.items() if range_.holds(value)] == []


@pytest.mark.parametrize("name", RANGES)
def test_whole_numbers_are_asked_for_where_the_default_is_one(name):
    value = flattened(default.get_config())[name]
    assert RANGES[name].holds(value)
    if value is not None:
        assert RANGES[name].whole == isinstance(value, int)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("optimizer.learning_rate", 0.0, "config.optimizer.learning_rate=0.0 must be above 0 and at most 10"),
        ("batch.labeled", 100000, "config.batch.labeled=100000 must be a whole number, at least 1 and at most 65536"),
        ("seed", 10**20, f"config.seed={10**20} must be a whole number, at least 0 and at most 2147483647"),
        ("augment.contrast", 5.0, "config.augment.contrast=5.0 must be at least 0 and below 1"),
        ("ema_decay", 1.0, "config.ema_decay=1.0 must be above 0 and below 1, or left unset"),
        ("data.context", float("nan"), "config.data.context=nan must be at least 0.25 and at most 8"),
    ],
)
def test_a_refusal_is_one_sentence(name, value, sentence):
    config = default.get_config()
    config.update_from_flattened_dict({name: value})
    with pytest.raises(ValueError) as refused:
        config_check.check_config(config)
    assert str(refused.value) == sentence


def test_ends_that_are_left_out_are_refused_and_others_are_not():
    both = Range(0, 1)
    neither = Range(0, 1, open_below=True, open_above=True)
    assert [both.holds(value) for value in (-0.1, 0, 0.5, 1, 1.1)] == [False, True, True, True, False]
    assert [neither.holds(value) for value in (-0.1, 0, 0.5, 1, 1.1)] == [False, False, True, False, False]
    assert not both.holds(None)


def test_only_the_groups_asked_for_are_looked_at():
    config = default.get_config()
    config.seed, config.data.cache_mb = -1, -1
    check_ranges(config, ("evaluation",))
    with pytest.raises(ValueError, match="cache_mb"):
        check_ranges(config, ("data", "evaluation"))


@pytest.mark.parametrize("size", preprocessing.IMAGE_SIZES)
@pytest.mark.parametrize("name", ["small", "resnet50"])
def test_a_network_takes_images_of_the_least_and_the_largest_size(size, name):
    config = default.get_config()
    config.data.image_size, config.model.backbone = size, name
    config_check.check_config(config)
