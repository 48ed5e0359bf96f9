"""What a command does about JAX's devices and settings. Two processes: 5 s of CPU."""

import os

import pytest

from tests.helpers.commands import launch_afresh


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"JAX_PLATFORMS": "cuda"}, "JAX_PLATFORMS=cuda: JAX cannot open these devices"),
        ({"JAX_PLATFORMS": "abacus"}, "not in the list of known backends"),
    ],
)
def test_devices_that_are_not_there_are_refused(setting, said):
    code, _, err = launch_afresh("--mode=dry_run", env=os.environ | setting)
    assert code == 1
    assert said in err and "unset JAX_PLATFORMS" in err
    assert "Traceback" not in err
