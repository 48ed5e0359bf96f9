"""Configs that cannot work are refused before anything is written."""

import pytest

from blur_jax import train


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("steps", 0, "config.steps=0"),
        ("log_every", 0, "config.log_every=0"),
        ("checkpoint_every", -1, "config.checkpoint_every=-1"),
        ("keep", 0, "config.keep=0"),
        ("batch.labeled", 0, "config.batch.labeled=0"),
        ("batch.unlabeled", 0, "config.batch.unlabeled=0"),
        ("evaluation.batch_size", 0, "config.evaluation.batch_size=0"),
        ("evaluation.resamples", 0, "config.evaluation.resamples=0"),
        ("ema_decay", 1.0, "config.ema_decay=1.0"),
        ("ema_decay", 0.0, "config.ema_decay=0.0"),
        ("model.backbone", "alexnet", "alexnet"),
        ("model.dtype", "float16", "float16"),
        ("model.linear_probe", -1.0, "config.model.linear_probe=-1.0"),
        ("model.frozen_blocks", 2, "config.model.frozen_blocks=2"),
        ("consistency.group", 0, "config.consistency.group=0"),
        ("consistency.group", 3, "config.consistency.group=3 must divide the 8 unlabeled pairs"),
        ("consistency.distillation_weight", 1.0, "set config.model.linear_probe or config.start_from"),
        ("optimizer.clip_norm", 0.0, "config.optimizer.clip_norm=0.0"),
        ("degradation.families", ("smear",), "smear"),
        ("degradation.rms_max", 0.001, "rms_max=0.001"),
        ("degradation.jpeg_min_quality", 0, "jpeg_min_quality"),
        ("data.labeled_split", "trian", "trian"),
        ("data.labeled_count", 999, "labeled_count=999"),
    ],
)
def test_configs_that_cannot_work_name_the_field(config, tmp_path, field, value, message):
    config.update_from_flattened_dict({field: value})
    with pytest.raises(ValueError, match="(?s).*" + message.replace(".", r"\.")):
        train.train(config, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()  # So that the corrected command may use it.


def test_a_temperature_of_zero_is_refused(config, tmp_path):
    config.model.linear_probe, config.consistency.distillation_weight, config.consistency.temperature = 1.0, 1.0, 0.0
    with pytest.raises(ValueError, match=r"config\.consistency\.temperature=0\.0 must be above 0"):
        train.train(config, str(tmp_path / "run"))
