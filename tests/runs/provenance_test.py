import re
import subprocess
import sys

from blur_jax.data import timestamps
from blur_jax.runs import provenance


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_the_commit_of_a_checkout_is_named_and_edits_are_told(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "one")
    commit = subprocess.run(["git", "-C", str(tmp_path), "rev-parse", "HEAD"], capture_output=True, text=True).stdout
    assert provenance.commit(str(tmp_path)) == commit[:12]
    (tmp_path / "file").write_text("two")
    assert provenance.commit(str(tmp_path)) == commit[:12] + "-dirty"


def test_an_installed_package_is_named_by_its_version(tmp_path):
    git(tmp_path, "init", "-q")  # Somebody's own project, with a virtual environment in it.
    (tmp_path / "venv").mkdir()
    assert re.fullmatch(r"version \S+", provenance.commit(str(tmp_path / "venv")))
    (tmp_path / "venv" / ".git").write_text("broken")
    assert re.fullmatch(r"version \S+", provenance.commit(str(tmp_path / "venv")))


def test_the_command_can_be_pasted_into_a_shell():
    program = "from blur_jax.runs import provenance; print(provenance.command())"
    found = subprocess.run([sys.executable, "-c", program, "a b", "c"], capture_output=True, text=True, check=True)
    assert found.stdout.strip().endswith(f" -c '{program}' 'a b' c")
    assert found.stdout.startswith("python") and "/" not in found.stdout.split()[0]


def test_starts_of_a_run_are_kept_until_it_starts_anew(tmp_path):
    assert provenance.read_starts(tmp_path) == []
    for step in (0, 20):
        provenance.record_start(tmp_path, step)
    first, second = provenance.read_starts(tmp_path)
    assert (first["Step"], second["Step"]) == (0, 20) and first["Command"] == provenance.command()
    provenance.record_start(tmp_path, 0)
    assert [start["Step"] for start in provenance.read_starts(tmp_path)] == [0]


def test_data_are_read_before_the_first_start(tmp_path):
    assert provenance.data_read_by(tmp_path) == ""
    before = timestamps.now()
    provenance.record_start(tmp_path, 0)
    found = provenance.data_read_by(tmp_path)
    assert before <= found <= timestamps.now() and found.endswith("Z")
    provenance.record_start(tmp_path, 20)  # Resumed, with the same data.
    assert provenance.data_read_by(tmp_path) == found
    for damaged in ("", "{", "[1]", "{}", '{"Time": 5}', '{"Time": "yesterday"}'):
        (tmp_path / provenance.STARTS_FILE).write_text(damaged)
        assert provenance.data_read_by(tmp_path) == ""
