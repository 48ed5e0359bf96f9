"""The scoring command beside a table that is there, and after an interruption."""

import os
import signal

import pytest
from PIL import Image

from blur_jax.score import inputs, journal, scorer, session
from tests.helpers import forked
from tests.helpers.scored import command, interrupt_at, open_text


def test_a_complete_table_is_not_scored_again_and_keeps_its_status(run, photos, capsys, monkeypatch):
    (photos / "bad.jpg").write_text("x")
    assert command(run, "photos") == 1
    monkeypatch.setattr(session, "run", None)
    assert command(run, "photos") == 1
    assert "scores.csv is already complete: 20 scored, 1 failed" in capsys.readouterr().out


def test_a_table_of_other_scores_is_replaced_only_when_told(run, photos, capsys):
    command(run, "photos")
    old = open_text("scores.csv")

    def refused(*arguments):
        assert command(run, *arguments) == 2
        assert open_text("scores.csv") == old
        return capsys.readouterr().err

    assert "with different options: keep_below" in refused("photos", "--keep-below=0.5")
    assert "with different options: source" in refused("photos/00.png")
    page = refused("photos", "--sheet=sheet.html")
    assert "its sheet sheet.html is missing; pass --overwrite" in page
    os.rename(photos / "00.png", photos / "renamed.png")
    assert "made from 20 different inputs (this command has 20)" in refused("photos")
    Image.new("RGB", (40, 40)).save(photos / "00.png")
    assert "made from 20 different inputs (this command has 21); pass --overwrite" in refused("photos")
    assert command(run, "photos", "--sheet=sheet.html", "--overwrite") == 0
    assert open_text("scores.csv") != old and os.path.exists("sheet.html")


def test_a_file_of_unknown_source_is_replaced_only_when_told(run, photos, capsys):
    (photos.parent / "scores.csv").write_text("mine")
    assert command(run, "photos") == 2
    assert "scores.csv.json is missing or damaged; pass --overwrite" in capsys.readouterr().err
    assert open_text("scores.csv") == "mine"
    assert command(run, "photos", "--overwrite") == 0


def outputs():
    return {name: open_text(name) for name in ("scores.csv", "scores.csv.json", "sheet.html")}


@pytest.mark.parametrize("stage", ["scoring", "tables.write", "sheet.write", "run_dir.write_atomically"])
def test_interrupted_anywhere_the_same_command_gives_the_same(run, photos, capsys, monkeypatch, stage):
    arguments = ["photos", "--sheet=sheet.html", "--batch-size=4"]
    command(run, *arguments)
    undisturbed = outputs()
    for name in undisturbed:
        os.unlink(name)

    with monkeypatch.context() as patch:
        interrupt_at(patch, stage)
        assert command(run, *arguments) == 130
    assert "rerun the same command to continue" in capsys.readouterr().err
    assert os.path.exists(".scores.csv.partial")

    prepared, prepare = [], scorer.Scorer.prepare
    monkeypatch.setattr(scorer.Scorer, "prepare", lambda *args: prepared.append(1) or prepare(*args))
    assert command(run, *arguments) == 0
    assert len(prepared) == (12 if stage == "scoring" else 0)  # Two batches of four were done.
    assert outputs() == undisturbed
    assert not os.path.exists(".scores.csv.partial")


@pytest.mark.parametrize("interrupted", [False, True])
def test_inputs_are_walked_once_and_the_journal_is_read_once(run, photos, monkeypatch, interrupted):
    if interrupted:
        with monkeypatch.context() as patch:
            patch.setattr("blur_jax.score.session.tables.write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            command(run, "photos", "--batch-size=4")
    walks, iterate = [], {kind: kind.__iter__ for kind in (inputs.Inputs, journal.Journal)}
    for kind in iterate:
        monkeypatch.setattr(kind, "__iter__", lambda self: walks.append(type(self)) or iterate[type(self)](self))
    assert command(run, "photos", "--batch-size=4", "--sheet=sheet.html") == 0
    assert walks == [inputs.Inputs, journal.Journal]


def test_an_interrupted_command_with_other_options_says_what_to_do(run, photos, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("blur_jax.score.session.tables.write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        command(run, "photos")
    assert command(run, "photos/00.png") == 2
    error = capsys.readouterr().err
    assert "inputs: ['photos'] there but ['photos/00.png'] here" in error and "use a different --output" in error


def test_killed_while_scoring_the_same_command_gives_the_same(run, photos, tmp_path):
    """SIGKILL, which nothing can catch. Pictures take a tenth of a second here, so that it strikes in the middle."""
    program = (
        "import sys, time\n"
        "from blur_jax.data import preprocessing\n"
        "from blur_jax.score import __main__ as score\n"
        "prepare = preprocessing.prepare\n"
        "preprocessing.prepare = lambda *args: time.sleep(0.1) or prepare(*args)\n"
        "sys.exit(score.main())\n"
    )
    arguments = [f"--checkpoint={run}", "photos", "--output=scores.csv", "--batch-size=2", "--threads=1"]
    command(run, "photos", "--batch-size=2", output="undisturbed.csv")
    process = forked.script(tmp_path, program, *arguments)
    process.wait_until(lambda: journal_lines() >= 4)
    process.send_signal(signal.SIGKILL)
    assert process.wait(20) == -signal.SIGKILL
    assert 4 <= journal_lines() < 20
    assert not os.path.exists("scores.csv")
    assert command(run, "photos", "--batch-size=2", "--threads=1") == 0
    assert open_text("scores.csv") == open_text("undisturbed.csv")


def journal_lines():
    """How many rows have been put down."""
    path = journal.path_of("scores.csv")
    return open_text(path).count("\n") - 1 if os.path.exists(path) else 0
