import pytest


@pytest.fixture
def grid_env(monkeypatch, subprocess_env):
    """Gives the processes that a grid starts the environment of the tests, and returns it."""
    for name, value in subprocess_env.items():
        monkeypatch.setenv(name, value)
    return subprocess_env
