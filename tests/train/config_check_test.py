"""Configs that cannot work are refused before anything is written."""

import pytest

from blur_jax.train import config_check, loop


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("steps", -1, "config.steps=-1"),
        ("batch.unlabeled", 0, "config.batch.unlabeled=0 must be a positive multiple of the 1 devices"),
        ("model.backbone", "alexnet", "alexnet"),
        ("model.dtype", "float16", "float16"),
        ("model.frozen_blocks", 2, "config.model.frozen_blocks=2"),
        ("consistency.pairs_per_degradation", 3, "pairs_per_degradation=3 must divide the 8 unlabeled pairs"),
        ("consistency.distillation_weight", 1.0, "set config.probe.strength or config.start_from"),
        ("consistency.teach_degraded", True, "consistency.teach_degraded=True needs a teacher"),
        ("probe.content", 1.0, "config.probe.content would do nothing without a linear probe"),
        ("degradation.families", ("smear",), "smear"),
        ("degradation.rms_max", 0.001, "rms_max=0.001"),
    ],
)
def test_configs_that_cannot_work_name_the_field(config, tmp_path, field, value, message):
    config.update_from_flattened_dict({field: value})
    with pytest.raises(ValueError, match="(?s).*" + message.replace(".", r"\.")):
        config_check.check_config(config, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()  # So that the corrected command may use it.


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"content": 1.0, "side_min": 20, "side_max": 40}, "side_max < config.data.image_size, found 20, 40 and 32"),
        ({"content": 1.0, "side_min": 9, "side_max": 9}, "found 9, 9 and 32"),
        ({"prior": 1.0, "side_min": 8, "side_max": 16}, "config.probe.prior needs a head to follow"),
    ],
)
def test_a_probe_that_cannot_be_fitted_names_the_field(config, fields, message):
    config.probe.update(strength=1.0, **fields)
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        config_check.check_config(config)


def test_a_wrong_table_of_judged_pairs_is_refused_before_training(config, tmp_path):
    (tmp_path / "judged.csv").write_text("split,left,right,ann,ann_sure\ntest,a,b,2,1\n")
    config.evaluation.judged = str(tmp_path / "judged.csv")
    with pytest.raises(ValueError, match=r"csv:2: ann must be 1 .* found '2'"):
        config_check.check_config(config, str(tmp_path / "run"))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [("data.labeled_split", "trian", "trian"), ("data.labeled_count", 999, "labeled_count=999")],
)
def test_data_that_are_not_there_leave_no_claim_behind(config, tmp_path, field, value, message):
    config.update_from_flattened_dict({field: value})
    config_check.check_config(config, str(tmp_path / "run"))
    with pytest.raises(ValueError, match=message):
        loop.train(config, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "losses",
    [
        {"consistency.quadruplet_weight": 0.0, "batch.unlabeled": 0, "ranking.weight": 1.0},
        {"consistency.quadruplet_weight": 0.0, "consistency.pairwise_weight": 1.0},
        {},
    ],
)
def test_a_config_that_learns_nothing_is_refused(config, losses):
    config.update_from_flattened_dict({"ranking.weight": 0.0} | losses)
    config_check.check_config(config)
    config.ranking.weight = config.consistency.quadruplet_weight = config.consistency.pairwise_weight = 0.0
    with pytest.raises(ValueError, match=r"config\.ranking\.weight, config\.cons.* are all 0, so the run"):
        config_check.check_config(config)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [8, 8]),
        ({"consistency.pairs_per_degradation": 4}, [8, 2]),
        ({"consistency.pairs_per_degradation": 0}, [8, 8]),
        ({"consistency.quadruplet_weight": 0.0, "batch.unlabeled": 3}, [8]),
    ],
)
def test_labeled_pairs_and_groups_of_unlabeled_ones_are_divided(config, fields, expected):
    config.update_from_flattened_dict(fields)
    assert config_check.divisible(config) == expected
