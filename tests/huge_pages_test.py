"""A command starts again with huge pages allowed: once, as the same process, with what it was given."""

import os
import pathlib
import subprocess
import sys

import pytest

from blur_jax import huge_pages

ROOT = pathlib.Path(__file__).parents[1]
PROGRAM = """
import os, sys
with open("starts", "a") as file:
    file.write(f"{os.getpid()}\\n")
from blur_jax import huge_pages
huge_pages.restart()
print(os.getpid(), os.environ["GLIBC_TUNABLES"], *sys.argv[1:], sys.stdin.read())
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="huge pages are asked for on Linux alone")


def start(folder, **environment):
    (folder / "program.py").write_text(PROGRAM)
    kept = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    process = subprocess.Popen(
        [sys.executable, "-m", "program", "--flag=a b", ""],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT)} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    output, _ = process.communicate("input")
    assert process.returncode == 0
    return process.pid, output.strip(), (folder / "starts").read_text().split()


def test_a_command_starts_again_once_as_the_same_process(tmp_path):
    pid, output, starts = start(tmp_path)
    assert output == f"{pid} glibc.malloc.hugetlb=1 --flag=a b  input"
    assert starts == [str(pid)] * 2


def test_what_the_user_has_set_stays(tmp_path):
    pid, output, starts = start(tmp_path, GLIBC_TUNABLES="glibc.malloc.check=0")
    assert output == f"{pid} glibc.malloc.check=0 --flag=a b  input"
    assert starts == [str(pid)]


def test_a_command_that_cannot_start_again_goes_on(monkeypatch):
    def refuse(*args):
        raise OSError("no")

    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr(os, "execv", refuse)
    huge_pages.restart()
    assert os.environ["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"


def test_launch_asks_for_them_before_anything_else(tmp_path):
    program = (
        "import os, runpy, sys\n"
        "os.execv = lambda *command: print(command, 'jax' in sys.modules) or sys.exit()\n"
        f"runpy.run_path({str(ROOT / 'launch.py')!r}, run_name='__main__')"
    )
    kept = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    found = subprocess.run(
        [sys.executable, "-c", program],
        env=kept | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == f"{(sys.executable, [sys.executable, '-c', program])} False"
