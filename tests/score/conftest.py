"""An untrained run, its scorer and some pictures."""

import os

import pytest

import blur_jax
from tests.helpers import scored, stub_detector


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


@pytest.fixture
def faces(photos, monkeypatch):
    """{picture: number of faces}; 20 pictures."""
    stub_detector.install(monkeypatch.setattr)
    names = [f"photos/{name}" for name in sorted(os.listdir(photos))]
    return {name: len(stub_detector.find(name)) for name in names}
