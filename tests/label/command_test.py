"""The command in a process of its own: started, killed while a client answers, and started again (6 s)."""

import csv
import os
import signal

import pytest

from benchmarks import labeling
from blur_jax.label import __main__ as command
from blur_jax.label import features
from blur_jax.label.__main__ import main
from tests.helpers import photos

KILLS = 3


@pytest.fixture
def folder(tmp_path):
    for seed in range(8):
        photos.save(tmp_path / "photos", f"{seed}.png", seed)
    return tmp_path / "photos"


def test_ctrl_c_ends_the_page_and_everything_is_in_the_table(folder):
    client = labeling.Client()
    with labeling.serving(str(folder), "--picker=random") as (process, port):
        assert b"Which is blurrier?" in client.request(port, "/")
        for _ in range(3):
            client.answer(port, client.question(port))
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) in (0, 130)
        assert "Traceback" not in process.stderr.read()
    with open(folder / "pairs.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3


def test_kills_lose_no_acknowledged_answer_and_repeat_none(folder):
    """A client answers without a pause, and sends again what was not acknowledged; see benchmarks/labeling.py."""
    client = labeling.Client()
    stored = labeling.kill(str(folder), KILLS, client)
    assert stored >= len(client.acknowledged) >= KILLS
    with open(folder / "pairs.csv") as file:
        assert len(file.readlines()) == stored + 1  # Each was another person's.


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["nowhere"], "nowhere is not a folder"),
        ([".", "--port=99999"], "cannot listen on"),
        ([".", "--host=nowhere.invalid"], "--host"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(folder, monkeypatch, capsys, arguments, error):
    monkeypatch.chdir(folder)
    assert main([*arguments, "--no-browser"]) == 2
    assert error in capsys.readouterr().err
    assert not os.path.exists("nowhere")


def test_a_second_page_for_a_folder_is_refused(folder, capsys):
    with labeling.serving(str(folder), "--picker=random"):
        assert main([str(folder), "--no-browser", "--port=0"]) == 2
        assert "another labeling page is open" in capsys.readouterr().err


def test_features_end_with_the_page(monkeypatch):
    """The parent of this process is another."""
    ended = []
    monkeypatch.setattr(features.os, "_exit", ended.append)
    features._end_with(-1)
    assert ended == [1]


def test_only_this_process_computes_in_one_thread(monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with command._one_thread():
        assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    assert "OPENBLAS_NUM_THREADS" not in os.environ
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    with command._one_thread():
        assert os.environ["OPENBLAS_NUM_THREADS"] == "7"
    assert os.environ["OPENBLAS_NUM_THREADS"] == "7"
