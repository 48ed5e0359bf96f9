"""Every config builds, documents itself, and trains when shrunk."""

import importlib
import pathlib
import re

import numpy as np
import pytest

from blur_jax.runs import run_dir
from blur_jax.train import config_check, loop
from configs import default
from tests.helpers.configs import flattened, shrink

NAMES = sorted(path.stem for path in pathlib.Path(default.__file__).parent.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("name", NAMES)
def test_a_config_says_how_to_run_it(name):
    text = importlib.import_module(f"configs.{name}").__doc__
    for word in ("Command:", "Machine:", "Time:", "Result:"):
        assert word in text


@pytest.mark.parametrize("name", NAMES)
def test_a_config_has_the_fields_of_the_default_and_passes_the_checks(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    assert flattened(config).keys() == flattened(default.get_config()).keys()
    config_check.check_config(config)


@pytest.mark.parametrize("name", NAMES)
def test_a_config_trains_when_shrunk(name, demo_dir, tmp_path):
    config = shrink(importlib.import_module(f"configs.{name}").get_config(), demo_dir)
    config.steps = config.checkpoint_every = 2
    config.optimizer.warmup_steps = 1
    if config.model.backbone == "efficientnet_lite0":
        config.model.blocks, config.model.frozen_blocks = 2, min(1, config.model.frozen_blocks)
    if config.model.backbone.startswith("resnet"):
        config.model.backbone = "resnet18"
    assert loop.train(config, str(tmp_path))
    losses = [row["loss"] for row in run_dir.read_history(tmp_path) if "loss" in row]
    assert len(losses) == 2
    assert np.isfinite(losses).all()


def test_every_field_of_the_default_is_explained():
    lines = pathlib.Path(default.__file__).read_text().splitlines()
    # "    config.steps = ...", "    data.dir = ...": groups themselves, filled by a function or below, need no comment.
    fields = [line for line in lines if re.match(r"    [a-z]+(\.[a-z_]+)+ = (?!_|ml_collections)", line)]
    assert len(fields) == len(flattened(default.get_config()))
    assert [line for line in fields if "  # " not in line] == []
