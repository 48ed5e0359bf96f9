"""A page for thirty pictures, with a run whose scores are known."""

import contextlib

import numpy as np
import pytest

from blur_jax.label.features import Table
from blur_jax.label.learning import Learning
from tests.helpers import photos
from tests.helpers.labeling import COUNT, NAMES, opened, served


@pytest.fixture
def folder(tmp_path):
    for seed in range(COUNT):
        photos.save(tmp_path / "photos", NAMES[seed], seed)
    return tmp_path / "photos"


@pytest.fixture
def table(tmp_path):
    """A run whose score is the number of the picture; the last picture cannot be read."""
    features = np.random.default_rng(0).standard_normal((COUNT, 3)).astype(np.float32)
    blur, sizes = np.arange(COUNT, dtype=np.float32) / COUNT, np.full(COUNT, 48, np.float32)
    features[:, 0] = blur
    features[-1] = blur[-1] = sizes[-1] = np.nan
    return Table(NAMES, features, blur, sizes, "0123456789abcdef", 7, str(tmp_path / "RUN"))


@pytest.fixture
def session(folder):
    with contextlib.closing(opened(folder)) as session:
        yield session


@pytest.fixture
def learning(session, tmp_path):
    (tmp_path / "RUN").mkdir()
    with contextlib.closing(Learning(session, str(tmp_path / "RUN"), str(tmp_path / "RUN"))) as learning:
        yield learning


@pytest.fixture
def page(session, learning):
    with served(session, learning) as page:
        yield page
