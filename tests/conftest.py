"""Strictness for every test, and a tiny prepared demo data set that all of them share."""

import os
from unittest import mock

import jax
import pytest

from blur_jax.preprocessing import Preprocessing
from configs import default
from tfds_builders import build
from tfds_builders.demo_face_blur import builder as demo

jax.config.update("jax_numpy_rank_promotion", "raise")

IMAGE_SIZE = 32


@pytest.fixture(scope="session")
def demo_dir(tmp_path_factory):
    """The demo data set, small: 24 labelled, 10 validation and 16 unlabelled pairs, 25 ranked faces, 32 px."""
    folder = tmp_path_factory.mktemp("data")
    sizes = {"LABELED_TRAIN": 24, "LABELED_VALIDATION": 10, "UNLABELED_TRAIN": 16, "RANKED_TEST": 25}
    with mock.patch.multiple(demo, **sizes, _CHUNK=25):
        build.prepare("demo_face_blur", data_dir=str(folder), preprocessing=Preprocessing(image_size=IMAGE_SIZE))
    return str(folder)


@pytest.fixture
def config(demo_dir):
    """The default config, shrunk to a few quick steps."""
    return shrink(default.get_config(), demo_dir)


def shrink(config, demo_dir):
    """Makes any config run in seconds on the tiny demo data."""
    config.steps, config.log_every, config.checkpoint_every = 6, 1, 2
    config.data.name, config.data.dir, config.data.manual_dir = "demo_face_blur", demo_dir, ""
    config.data.image_size, config.data.context = IMAGE_SIZE, 1.0
    config.batch.labeled = config.batch.unlabeled = 8
    config.consistency.warmup_steps = config.optimizer.warmup_steps = 2
    config.evaluation.batch_size, config.evaluation.resamples = 16, 20
    return config


@pytest.fixture(scope="session")
def subprocess_env(tmp_path_factory):
    """Environment of the runs that tests start: the repository importable, compiled programs shared between them."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    cache = str(tmp_path_factory.mktemp("compiled"))
    return os.environ | {
        "PYTHONPATH": root,
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
