"""An untrained run, its scorer and some pictures."""

import pytest

import blur_jax
from tests.helpers import scored


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return scored.make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def scorer(run):
    return blur_jax.load_scorer(run)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """20 pictures in the working directory's photos/."""
    monkeypatch.chdir(tmp_path)
    return scored.make_photos(tmp_path / "photos")
