"""What a run prints and records while it trains."""

import re

from blur_jax import run_dir, writers


def write_run(folder):
    """A run of 4 steps that logs every 2 and validates every 4, as the loop does."""
    writer = writers.Writer(str(folder), first_step=0, steps=4, images_per_step=10)
    for step in (1, 2, 3, 4):
        writer.advance(step)
        if step % 2 == 0:
            writer.write(step, {"loss": 1 / step, "ranking": 0.5})
    writer.write(4, {"validation_accuracy": 0.75, "score_spread": 0.1})
    writer.close()


def test_without_a_terminal_each_row_prints_what_it_holds(tmp_path, capsys):
    write_run(tmp_path)
    lines = capsys.readouterr().err.splitlines()
    pace = r"  \d+ images/s  \d+:\d\d left"
    assert len(lines) == 3
    assert re.fullmatch(rf"step 2/4{pace}  loss 0\.500", lines[0])
    assert re.fullmatch(rf"step 4/4{pace}  loss 0\.250", lines[1])
    assert lines[2] == "step 4/4  validation accuracy 0.750"  # the last one, too, and at its own step


def test_everything_is_recorded(tmp_path):
    write_run(tmp_path)
    assert run_dir.read_history(tmp_path) == [
        {"step": 2, "loss": 0.5, "ranking": 0.5},
        {"step": 4, "loss": 0.25, "ranking": 0.5},
        {"step": 4, "validation_accuracy": 0.75, "score_spread": 0.1},
    ]
    assert list(tmp_path.glob("tensorboard/events*"))
