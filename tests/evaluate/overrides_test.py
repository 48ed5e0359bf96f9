"""A run is evaluated on its own data, unless the command line names others; these never overwrite its results."""

import ml_collections
import pytest

from blur_jax.evaluate import overrides
from configs import default, wider_blur


@pytest.fixture
def run():
    """What a checkpoint records of a run on lists of one's own."""
    config = wider_blur.get_config().to_dict()
    config["data"] |= {"sources": "abc", "dir": "/data", "manual_dir": "/lists", "image_size": 96}
    config["seed"], config["evaluation"]["resamples"], config["degradation"]["families"] = 7, 50, ["gaussian"]
    return ml_collections.ConfigDict(config)


def test_a_run_has_its_own_data_and_settings_without_its_config_file(run):
    merged = overrides.merge(run, {}, default.get_config())
    assert (merged.data.name, merged.data.sources, merged.data.dir) == ("ssranking_face_blur", "abc", "/data")
    assert (merged.data.image_size, merged.evaluation.resamples, merged.seed) == (96, 50, 7)
    assert merged.data.manual_dir is None  # What was prepared for the run is taken, not today's lists.


def test_fields_that_are_given_count(run):
    given = {"data.dir": "/elsewhere", "evaluation.resamples": 9}
    merged = overrides.merge(run, given, default.get_config())
    assert (merged.data.dir, merged.evaluation.resamples, merged.data.sources) == ("/elsewhere", 9, "abc")


@pytest.mark.parametrize("given", [{"data.manual_dir": "/new"}, {"data.name": "demo_face_blur"}])
def test_other_data_are_not_taken_for_the_runs(run, given):
    merged = overrides.merge(run, given, default.get_config())
    assert merged.data.sources is None
    assert merged.data.image_size == 96  # The network sees the faces that it was made for.


def test_a_config_file_of_other_data_brings_them_all(run):
    settings = default.get_config()
    merged = overrides.merge(run, {}, settings, chosen=True)
    assert (merged.data.name, merged.data.dir, merged.data.sources) == ("demo_face_blur", None, None)
    assert (merged.data.image_size, merged.evaluation.resamples) == (96, 50)


def test_a_config_file_of_the_runs_own_data_changes_nothing(run):
    merged = overrides.merge(run, {}, wider_blur.get_config(), chosen=True)
    assert merged == overrides.merge(run, {}, default.get_config())


def test_fields_of_training_may_be_repeated_but_not_changed(run):
    same = {"degradation.families": ("gaussian",), "seed": 7}
    assert overrides.merge(run, same, default.get_config()).seed == 7
    with pytest.raises(ValueError, match=r"config\.seed is 7 in the run but 8 here; --mode=evaluate can only"):
        overrides.merge(run, {"seed": 8}, default.get_config())


@pytest.mark.parametrize(("name", "value"), [("data.cache_mb", -1), ("evaluation.resamples", 0)])
def test_numbers_out_of_range_are_refused(run, name, value):
    with pytest.raises(ValueError, match=rf"config\.{name}={value} must be a whole number"):
        overrides.merge(run, {name: value}, default.get_config())


@pytest.mark.parametrize(
    ("name", "sources"), [("ssranking_face_blur", "def"), ("demo_face_blur", None), ("demo_face_blur", "abc")]
)
def test_results_on_other_data_need_a_place_of_their_own(run, name, sources):
    for own in ("abc", None):  # None is not known yet.
        overrides.check_output(run.data, ml_collections.ConfigDict({"name": run.data.name, "sources": own}), None)
    data = ml_collections.ConfigDict({"name": name, "sources": sources})
    overrides.check_output(run.data, data, "somewhere")
    with pytest.raises(ValueError, match="--output=DIR"):
        overrides.check_output(run.data, data, None)
