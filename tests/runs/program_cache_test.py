"""Compiled programs are kept for the next command, and a damaged one stops nothing."""

import importlib
import json
import os
import stat
import subprocess
import sys
import zlib

import jax
import pytest

from blur_jax.data import user_cache
from blur_jax.runs import program_cache
from tests.helpers.commands import launch_afresh

# Prints the results of three programs, and how many of the three were loaded.
PROGRAM = """
import json
import jax
from blur_jax.data import user_cache
from blur_jax.runs import program_cache

program_cache.keep_programs()
loaded = []
jax.monitoring.register_event_listener(lambda event, **_: loaded.append(event) if event.endswith("/cache_hits") else 0)
def double(x): return 2 * x
def triple(x): return 3 * x
def square(x): return x * x
print(json.dumps([[float(jax.jit(f)(7.0)) for f in (double, triple, square)], len(loaded)]))
"""


@pytest.fixture
def bare_env(tmp_path):
    """Environment of a user who has set nothing."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    return environment | {"XDG_CACHE_HOME": str(tmp_path)}


def compute(env):
    """Runs the program; returns how many of the three programs it loaded, and standard error."""
    process = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True)
    results, loaded = json.loads(process.stdout)
    assert results == [14.0, 21.0, 49.0]
    return loaded, process.stderr


def entries(tmp_path):
    return sorted((tmp_path / "blur_jax" / "compiled").glob("*-cache"))


def test_the_next_process_loads_what_one_compiled_unless_it_is_damaged(bare_env, tmp_path):
    assert compute(bare_env) == (0, "")
    assert len(entries(tmp_path)) == 3
    assert stat.S_IMODE((tmp_path / "blur_jax" / "compiled").stat().st_mode) == 0o700
    assert compute(bare_env) == (3, "")
    damages = (lambda whole: whole[: len(whole) // 2], lambda _: b"", lambda _: zlib.compress(b"\0\0\0\1no program"))
    for path, damage in zip(entries(tmp_path), damages):
        path.write_bytes(damage(path.read_bytes()))
    loaded, err = compute(bare_env)
    assert loaded == 0
    assert err.count("Error reading persistent compilation cache entry") == 3


def test_jax_settings_of_the_user_win(bare_env, tmp_path):
    own = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "own"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    assert compute(bare_env | own) == (0, "")
    assert len(list((tmp_path / "own").glob("*-cache"))) >= 3
    assert compute(bare_env | own | {"JAX_ENABLE_COMPILATION_CACHE": "0"}) == (0, "")
    assert not entries(tmp_path)


def test_launching_keeps_programs(bare_env, tmp_path):
    code, _, err = launch_afresh("--config.model.backbone=none", f"--workdir={tmp_path}/run", env=bare_env)
    assert code == 1, err
    assert (tmp_path / "blur_jax" / "compiled").is_dir()


@pytest.fixture
def unset(monkeypatch, tmp_path):
    """Unsets the cache in this process; returns the folder of compiled programs."""
    names = ("dir", "min_compile_time_secs", "enable_xla_caches")
    names = ("jax_compilation_cache_dir", *(f"jax_persistent_cache_{name}" for name in names[1:]))
    before = {name: getattr(jax.config, name) for name in names}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    jax.config.update("jax_compilation_cache_dir", None)
    yield tmp_path / "blur_jax" / "compiled"
    for name, value in before.items():
        jax.config.update(name, value)


def test_programs_that_others_could_write_are_not_run(unset, monkeypatch, capsys):
    unset.mkdir(parents=True)
    unset.chmod(0o770)
    program_cache.keep_programs()
    assert f"other users can write to {unset}; run: chmod go-w {unset}" in capsys.readouterr().err
    assert jax.config.jax_compilation_cache_dir is None
    unset.chmod(0o755)
    monkeypatch.setattr(os, "getuid", lambda: unset.stat().st_uid + 1)
    program_cache.keep_programs()
    assert f"{unset} belongs to another user" in capsys.readouterr().err
    assert jax.config.jax_compilation_cache_dir is None
    monkeypatch.undo()


@pytest.mark.parametrize("obstacle", ["a file in its place", "a folder that cannot be written"])
def test_a_line_says_why_programs_are_not_kept(unset, monkeypatch, capsys, obstacle):
    if obstacle == "a file in its place":
        unset.parent.write_text("")
    else:
        unset.mkdir(parents=True)
        monkeypatch.setattr(os, "access", lambda path, mode: False)  # The tests may run as root, who may do anything.
    program_cache.keep_programs()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("compiled programs cannot be cached (")
    assert str(unset.parent) in line
    assert jax.config.jax_compilation_cache_dir is None


@pytest.mark.parametrize("command", ["score", "threshold", "export"])
def test_a_command_keeps_programs(command, monkeypatch, tmp_path):
    (tmp_path / "a.png").touch()
    rest = {"score": ["--output=x.csv", "."], "threshold": ["--discard=0.1", "."], "export": ["--output=x.onnx"]}
    rest["export"].append("--format=onnx")
    monkeypatch.chdir(tmp_path)
    called = []
    monkeypatch.setattr(program_cache, "keep_programs", lambda: called.append(command))
    assert importlib.import_module(f"blur_jax.{command}.__main__").main(["--checkpoint=nowhere", *rest[command]]) == 2
    assert called == [command]


def test_a_user_without_a_home_folder_gets_a_temporary_cache(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert os.path.isabs(user_cache.folder())
