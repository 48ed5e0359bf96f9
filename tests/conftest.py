"""Strictness for every test, and a tiny prepared demo data set that all of them share."""

import os
import pathlib
from unittest import mock

import filelock
import jax
import pytest

from blur_jax.data import user_cache
from blur_jax.data.preprocessing import Preprocessing
from configs import default
from tests.helpers.configs import IMAGE_SIZE, flattened, shrink
from tests.helpers.paths import ROOT
from tfds_builders import prepare
from tfds_builders.demo_face_blur import builder as demo

# Most time here would go into compiling: programs are shared by all workers and the processes they start, and kept
# between runs. The limit on their size brings the lock that makes sharing safe.
_CACHE = os.environ.get("JAX_COMPILATION_CACHE_DIR") or os.path.join(user_cache.folder(), "compiled_by_tests")
_SETTINGS = {
    "jax_numpy_rank_promotion": "raise",
    "jax_compilation_cache_dir": _CACHE,
    "jax_compilation_cache_max_size": 2**31,
    "jax_persistent_cache_min_compile_time_secs": 0.2,
    "jax_persistent_cache_enable_xla_caches": "none",
}
for _name, _value in _SETTINGS.items():
    jax.config.update(_name, _value)


def pytest_sessionstart():
    """Removes what a killed process left half written: JAX writes the time of use last, and reads whatever is there."""
    folder = pathlib.Path(_CACHE)
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / ".lockfile"):
        for program in folder.glob("*-cache"):
            if not program.with_name(program.name.removesuffix("-cache") + "-atime").exists():
                program.unlink()


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
