"""Strictness for every test, and a tiny prepared demo data set that all of them share."""

import os
import tempfile
from unittest import mock

import jax
import pytest

from blur_jax.data.preprocessing import Preprocessing
from configs import default
from tests.helpers.configs import IMAGE_SIZE, flattened, shrink
from tests.helpers.paths import ROOT
from tfds_builders import prepare
from tfds_builders.demo_face_blur import builder as demo

# Compiled programs are shared by all tests and the processes they start: most time here would go into compiling.
_CACHE = tempfile.TemporaryDirectory(prefix="blur_jax_compiled_")
_SETTINGS = {
    "jax_numpy_rank_promotion": "raise",
    "jax_compilation_cache_dir": _CACHE.name,
    "jax_persistent_cache_min_compile_time_secs": 0.2,
}
for _name, _value in _SETTINGS.items():
    jax.config.update(_name, _value)


@pytest.fixture(scope="session")
def demo_dir(tmp_path_factory):
    """The demo data set, small: 24 labeled, 10 validation and 16 unlabeled pairs, 25 ranked faces, 32 px."""
    folder = tmp_path_factory.mktemp("data")
    sizes = {"LABELED_TRAIN": 24, "LABELED_VALIDATION": 10, "UNLABELED_TRAIN": 16, "RANKED_TEST": 25}
    with mock.patch.multiple(demo, **sizes, _CHUNK=25):
        prepare.prepare("demo_face_blur", data_dir=str(folder), preprocessing=Preprocessing(image_size=IMAGE_SIZE))
    return str(folder)


@pytest.fixture
def config(demo_dir):
    """The default config, shrunk to a few quick steps."""
    return shrink(default.get_config(), demo_dir)


@pytest.fixture(scope="session")
def subprocess_env():
    """Environment of the runs that tests start: the repository importable, the same settings of JAX."""
    settings = {name.upper(): str(value) for name, value in _SETTINGS.items()}
    return os.environ | settings | {"PYTHONPATH": str(ROOT)}


@pytest.fixture
def arguments(config):
    """The default config shrunk, as flags."""
    config.data.dir = str(config.data.dir)
    before = flattened(default.get_config())
    after = flattened(config)
    return [f"--config.{name}={value}" for name, value in after.items() if before[name] != value]
