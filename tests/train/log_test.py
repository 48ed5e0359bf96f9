"""What a run prints and records while it trains."""

import json
import re

import ml_collections
import numpy as np
import pytest

from blur_jax.runs import run_dir
from blur_jax.train import log as train_log

VALIDATED = {"validation_accuracy": 0.75, "score_spread": 0.1}


@pytest.fixture
def clock(monkeypatch):
    """The seconds that have passed, as the writer reads them."""
    now = [0.0]
    monkeypatch.setattr(train_log.time, "monotonic", lambda: now[0])
    return now


def write_run(folder):
    """A run of 4 steps that logs every 2 and validates every 4, as the loop does."""
    writer = train_log.Writer(str(folder), first_step=0, steps=4, images_per_step=10)
    writer.start()
    for step in (1, 2, 3, 4):
        writer.advance(step)
        if step % 2 == 0:
            writer.write(step, {"loss": 1 / step, "ranking": 0.5})
    writer.write_validation(4, VALIDATED)
    writer.close()


def test_without_a_terminal_each_row_prints_what_it_holds(tmp_path, capsys):
    write_run(tmp_path)
    lines = capsys.readouterr().err.splitlines()
    pace = r"  \d+ images/s  \d+:\d\d left"
    assert len(lines) == 4
    assert lines[0] == "step 0/4  compiling the training step"
    assert re.fullmatch(rf"step 2/4{pace}  loss 0\.500", lines[1])
    assert re.fullmatch(rf"step 4/4{pace}  loss 0\.250", lines[2])
    assert lines[3] == "step 4/4  validation accuracy 0.750"  # the last one, too, and at its own step


def test_compiling_and_validating_are_no_part_of_the_rate(tmp_path, capsys, clock):
    """100 seconds of compiling and 50 of validation; each step takes one, with 10 images."""
    writer = train_log.Writer(str(tmp_path), first_step=0, steps=64, images_per_step=10)
    clock[0] += 100
    writer.start()
    clock[0] += 2
    writer.write(2, {"loss": 0.5})
    clock[0] += 1 + 50
    writer.write_validation(3, {"validation_accuracy": 0.5})
    clock[0] += 1
    writer.write(4, {"loss": 0.5})
    writer.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == "step 2/64  10 images/s  1:02 left  loss 0.500"
    assert lines[2] == "step 3/64  validation accuracy 0.500"
    assert lines[3] == "step 4/64  10 images/s  1:00 left  loss 0.500"


def test_on_a_terminal_the_bar_counts_the_steps(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "40")
    writer = train_log.Writer(str(tmp_path), first_step=2, steps=4, images_per_step=10)
    writer.start()
    writer.advance(4)
    writer.write(4, {"loss": 0.25})
    writer.close()
    error = capsys.readouterr().err
    assert error.startswith("step 2/4  compiling the training step\n")
    assert "| 2/4 [" in error
    assert re.search(r"\| 4/4 \[.*step/s, loss 0\.250\]", error)


def test_everything_is_recorded(tmp_path):
    write_run(tmp_path)
    rows = {"metrics": [{"step": 2, "loss": 0.5, "ranking": 0.5}, {"step": 4, "loss": 0.25, "ranking": 0.5}]}
    for name, written in (rows | {"validation": [{"step": 4} | VALIDATED]}).items():
        assert [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()] == written
    assert list(tmp_path.glob("tensorboard/events*"))


def test_a_row_is_the_mean_since_the_row_before_across_a_stop(tmp_path):
    """Rows every 3 steps, of which the first two were made before the run was stopped: (1 + 2 + 6) / 3 = 3."""
    config, unlogged = ml_collections.ConfigDict({"log_every": 3, "steps": 4}), []
    for losses in ({1: 1, 2: 2}, {3: 6, 4: 5}):
        writer = train_log.Writer(str(tmp_path), first_step=min(losses) - 1, steps=4, images_per_step=1)
        log = train_log.StepLog(config, writer, unlogged)
        for step, loss in losses.items():
            log.follow(step, {"loss": np.float32(loss), "gradient_norm": np.float32(1)})
        log.catch_up()
        writer.close()
        unlogged = log.unlogged
    assert [(row["step"], row["loss"]) for row in run_dir.read_history(tmp_path)] == [(3, 3.0), (4, 5.0)]
    assert unlogged == []
