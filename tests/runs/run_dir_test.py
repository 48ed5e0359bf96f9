"""A run directory belongs to one config, and its files are whole or not there."""

import json
import os
import sys

import pytest

from blur_jax.runs import run_dir


def claim(config, folder, recorded=None):
    with run_dir.claim(config, folder, recorded):
        pass


def test_what_the_state_does_not_depend_on_may_change(config, tmp_path):
    recorded = json.loads(config.to_json())
    config.data.update(dir="/elsewhere", manual_dir="/elsewhere", allow_missing=True, cache_mb=1)
    config.evaluation.batch_size, config.evaluation.resamples, config.log_every, config.keep = 8, 7, 5, 9
    claim(config, tmp_path, recorded)


def test_what_the_run_depends_on_may_not(config, tmp_path):
    changed, recorded = config.copy_and_resolve_references(), json.loads(config.to_json())
    changed.steps, changed.checkpoint_every, changed.data.sources = 7, 3, "abc"
    with pytest.raises(ValueError, match="different config") as refused:
        run_dir.claim(changed, tmp_path, recorded)
    fields = (
        "steps is 6 there but 7",
        "checkpoint_every is 2 there but 3",
        f"data.sources is '{config.data.sources}' there but 'abc'",
    )
    assert all(f"config.{field} here" in str(refused.value) for field in fields)
    claim(config, tmp_path, recorded)  # The refused claim has left no lock behind.


@pytest.mark.parametrize("content", ["{", "[]", None])
def test_a_damaged_or_missing_config_json_is_written_anew_from_the_checkpoint(config, tmp_path, content):
    claim(config, tmp_path, recorded := json.loads(config.to_json()))
    (tmp_path / "config.json").unlink()
    if content:
        (tmp_path / "config.json").write_text(content)
    config.log_every = 77  # May change, and what the run began with stays on record.
    claim(config, tmp_path, recorded)
    assert json.loads((tmp_path / "config.json").read_text()) == recorded


@pytest.mark.parametrize("content", [None, "{"])
def test_a_run_that_saved_nothing_gives_way(config, tmp_path, content):
    """As after a start that failed, or was stopped while it compiled."""
    claim(config, tmp_path)
    if content:
        (tmp_path / "config.json").write_text(content)
    config.seed = 5
    with run_dir.claim(config, tmp_path):
        assert json.loads((tmp_path / "config.json").read_text())["seed"] == 5
        with pytest.raises(ValueError, match="another process"):  # It does not while it trains.
            run_dir.claim(config, tmp_path)


def test_history_holds_each_row_once_after_a_kill(tmp_path):
    history = run_dir.History(tmp_path, "metrics.jsonl", first_step=0)
    for step in (1, 2, 3):
        history.write({"step": step, "loss": 0.5})
    history.close()
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 4, "lo')
    assert [row["step"] for row in run_dir.read_history(tmp_path)] == [1, 2, 3]
    resumed = run_dir.History(tmp_path, "metrics.jsonl", first_step=2)
    resumed.write({"step": 3, "loss": 0.25})
    resumed.close()
    assert run_dir.read_history(tmp_path) == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "loss": 0.5},
        {"step": 3, "loss": 0.25},
    ]


def test_rows_of_both_kinds_are_read_by_step(tmp_path):
    rows = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.4}, {"step": 2, "validation_accuracy": 0.75}]
    for file, lines in {"metrics": [rows[0], rows[1]], "validation": [rows[2]]}.items():
        (tmp_path / f"{file}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    assert run_dir.read_history(tmp_path) == rows
    assert run_dir.read_history(tmp_path / "nowhere") == []


@pytest.mark.parametrize("path", ["run", "run/checkpoints", "run/checkpoints/200"])
def test_the_run_of_a_checkpoint(tmp_path, path):
    (tmp_path / "run" / "checkpoints" / "200" / "meta").mkdir(parents=True)
    assert os.fspath(run_dir.run_of(tmp_path / path)) == str(tmp_path / "run")


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "file.txt"
    run_dir.write_atomically(path, "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        run_dir.write_atomically(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["file.txt"]


def test_names_that_utf_8_cannot_hold_are_written_all_the_same(tmp_path):
    run_dir.write_atomically(tmp_path / "file", "a\udcffb")
    assert (tmp_path / "file").read_bytes() == b"a?b"


def test_a_bucket_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ValueError, match="gs://unread: .*pip install gcsfs"):
        run_dir.resolve("gs://unread/run")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("scheme", ["http", "s3"])
def test_an_address_of_another_kind_is_refused(scheme):
    with pytest.raises(ValueError, match=f"{scheme}://host/run: {scheme}:// is not supported; use .* gs://"):
        run_dir.resolve(f"{scheme}://host/run")


def test_a_relative_path_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert os.fspath(run_dir.resolve("runs/demo")) == str(tmp_path / "runs" / "demo")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a file that is always full")
def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(run_dir, "open", lambda *_, **__: open("/dev/full", "a"), raising=False)
    history = run_dir.History(tmp_path, "metrics.jsonl", first_step=0)
    with pytest.raises(OSError, match=r"No space left.*metrics\.jsonl"):
        history.write({"step": 1})
    with pytest.raises(OSError, match=r"No space left.*metrics\.jsonl"):
        history.close()
