"""Runs of a grid are forked from a process that has imported JAX, instead of importing it each."""

import types

import pytest

from experiments import grid
from tests.helpers import forked


@pytest.fixture(autouse=True)
def forked_runs(monkeypatch):
    monkeypatch.setattr(grid, "multiprocessing", types.SimpleNamespace(get_context=lambda _: forked.CONTEXT))
