"""Strictness for every test, and what all of them share: compiled programs, a tiny demo data set and a run on it."""

import os
import pathlib
import shutil
from unittest import mock

import filelock
import jax
import pytest

from blur_jax.data import user_cache
from blur_jax.data.preprocessing import Preprocessing
from blur_jax.evaluate import evaluation
from blur_jax.train import loop
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
    "jax_disable_most_optimizations": True,  # Half of the time to compile, and the same within every bound here.
}
for _name, _value in _SETTINGS.items():
    jax.config.update(_name, _value)
    os.environ[_name.upper()] = str(_value)  # For the processes that tests start.
os.environ["PYTHONPATH"] = str(ROOT)

# Files that train in several processes take the longest, so they come first; any order of the rest fills the gaps.
_FIRST = (
    "distributed",
    "launch",
    "loop",
    "own_pictures",
    "faults",
    "formats",
    "notebook",
    "label_efficiency",
    "export",
)


def pytest_sessionstart():
    """Removes what a killed process left half written: JAX writes the time of use last, and reads whatever is there."""
    folder = pathlib.Path(_CACHE)
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / ".lockfile"):
        for program in folder.glob("*-cache"):
            if not program.with_name(program.name.removesuffix("-cache") + "-atime").exists():
                program.unlink()


def pytest_collection_modifyitems(items):
    names = {f"{name}_test.py": place for place, name in enumerate(_FIRST)}
    items.sort(key=lambda item: names.get(item.path.name, len(names)))


def _made_once(tmp_path_factory, name, make):
    """A folder that the first worker to need it makes, and all workers read."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    made = folder.with_suffix(".made")
    with filelock.FileLock(folder.with_suffix(".lock")):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def demo_dir(tmp_path_factory):
    """The demo data set, small: 24 labeled, 10 validation and 16 unlabeled pairs, 25 ranked faces, 32 px."""

    def make(folder):
        sizes = {"LABELED_TRAIN": 24, "LABELED_VALIDATION": 10, "UNLABELED_TRAIN": 16, "RANKED_TEST": 25}
        with mock.patch.multiple(demo, **sizes, _CHUNK=25):
            prepare.prepare("demo_face_blur", data_dir=str(folder), preprocessing=Preprocessing(image_size=IMAGE_SIZE))

    return str(_made_once(tmp_path_factory, "data", make))


@pytest.fixture(scope="session")
def shared_run(tmp_path_factory, demo_dir):
    """A run of six steps with a moving average, evaluated: (its config, its directory). To be read only.

    Made once for all workers, in 10 s of CPU; tests that change a run take `own_run`.
    """
    config = shrink(default.get_config(), demo_dir)
    config.ema_decay = 0.5

    def make(folder):
        assert loop.train(config, str(folder))
        evaluation.evaluate(config, str(folder))

    return config, _made_once(tmp_path_factory, "run", make)


@pytest.fixture
def own_run(shared_run, tmp_path):
    """A copy of the shared run: (its config, its directory)."""
    config, folder = shared_run
    return config.copy_and_resolve_references(), shutil.copytree(folder, tmp_path / "own_run")


@pytest.fixture
def config(demo_dir):
    """The default config, shrunk to a few quick steps."""
    return shrink(default.get_config(), demo_dir)


@pytest.fixture
def arguments(config):
    """The default config shrunk, as flags."""
    config.data.dir = str(config.data.dir)
    before = flattened(default.get_config())
    after = flattened(config)
    return [f"--config.{name}={value}" for name, value in after.items() if before[name] != value]
