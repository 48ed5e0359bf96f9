"""The page's requests: what is asked, stored, shown and taken back, with a real server (0.1 s each)."""

import contextlib
import csv
import io
import os
import re
import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from blur_jax.label import pairs_table
from tests.helpers import photos
from tests.helpers.labeling import opened, served


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for seed, name in enumerate(("a.png", "b.png", "sub/c.png", '<img src=x onerror="x">.png')):
        photos.save(folder, name, seed)
    return folder


@pytest.fixture
def folder(pictures, tmp_path):
    return shutil.copytree(pictures, tmp_path / "photos")


@pytest.fixture
def page(folder):
    with contextlib.closing(opened(folder)) as session, served(session) as page:
        yield page


def lines(folder):
    """(left, right, order, annotator) of each line of pairs.csv; waits for nothing, so close the page first."""
    with open(folder / "pairs.csv", newline="") as file:
        return [tuple(row[name] for name in ("left", "right", "order", "annotator")) for row in csv.DictReader(file)]


def test_a_pair_is_asked_shown_and_stored(folder):
    with contextlib.closing(opened(folder)) as session, served(session) as page:
        (question,) = page.questions()
        for side in ("left", "right"):
            status, headers, data = page.picture(question[side])
            assert status == 200 and headers["Content-Type"] == "image/png"
            shown, stored = Image.open(io.BytesIO(data)), Image.open(folder / question[side]["name"])
            assert shown.size == (48, 48)  # The central square of 60 x 48 pixels, not resized.
            np.testing.assert_array_equal(np.asarray(shown), np.asarray(stored.crop((6, 0, 54, 48))))
        found = page.answer(question, -1, id="00c0ffee")
        assert found["stored"] == "00c0ffee" and found["status"]["answers"] == 1
    assert lines(folder) == [(question["left"]["name"], question["right"]["name"], "-1", "")]


def test_every_pair_comes_once_and_then_there_are_none(page):
    seen = set()
    while questions := page.questions():
        seen.add(frozenset((questions[0]["left"]["id"], questions[0]["right"]["id"])))
        page.answer(questions[0], 0)
    assert len(seen) == 6 and page.json("/api/status")["ties"] == 6


def test_the_pairs_that_the_page_holds_are_not_asked_again(page):
    held = page.questions(4)
    both = held + page.questions(4, held)
    assert len(held) == 4 and len({frozenset((q["left"]["id"], q["right"]["id"])) for q in both}) == len(both) == 6


def test_a_skipped_pair_is_no_tie_and_does_not_come_back(folder):
    with contextlib.closing(opened(folder)) as session, served(session) as page:
        held = []
        for _ in range(6):
            held += page.questions()
            page.answer(held[-1], None)
        assert page.questions() == []
        assert page.json("/api/status")["skipped"] == 6
    assert not (folder / "pairs.csv").exists()


def test_undo_brings_the_pair_back_as_it_was_shown(folder):
    with contextlib.closing(opened(folder)) as session, served(session) as page:
        first, second = page.questions(2)
        page.answer(first, 1)
        last = page.answer(second, 1)["status"]["last"]
        undone = page.json("/api/undo", {"annotator": "", "of": last})
        assert undone["question"] == second and undone["status"]["answers"] == 1
        again = page.json("/api/undo", {"annotator": "", "of": last})  # The response was lost, so it is sent again.
        assert again["question"] is None and again["status"]["answers"] == 1
        assert page.json("/api/undo", {"annotator": "ann", "of": again["status"]["last"]})["question"] is None
        page.answer(second, -1)
    assert [line[2] for line in lines(folder)] == ["1", "-1"]


def test_an_answer_that_is_sent_twice_is_stored_once(folder):
    with contextlib.closing(opened(folder)) as session, served(session) as page:
        body = page.body(page.questions()[0], 1)
        os.remove(folder / body["question"]["left"]["name"])
        assert page.json("/api/answer", body, status=410)["kind"] == "gone"
        (question,) = page.questions()
        body = page.body(question, 1)
        page.json("/api/answer", body)
        os.remove(folder / question["left"]["name"])  # Even if the picture is gone by then.
        assert page.json("/api/answer", body)["status"]["answers"] == 1
    assert len(lines(folder)) == 1


def test_two_tabs_cannot_answer_a_pair_twice_and_two_people_can(folder):
    with contextlib.closing(opened(folder)) as session, served(session) as page:
        (question,) = page.questions()
        page.answer(question, 1, annotator="ann")
        assert page.answer(question, -1, annotator="ann", status=409)["kind"] == "answered"
        assert page.answer(question, -1, annotator="ben")["status"]["annotators"] == ["ann", "ben"]
    assert [line[2:] for line in lines(folder)] == [("1", "ann"), ("-1", "ben")]


def test_answers_that_come_at_once_are_all_stored_once(folder):
    with contextlib.closing(opened(folder)) as session, served(session) as page:
        (question,) = page.questions()
        bodies = [page.body(question, 1, annotator=name) for name in "abcdefgh"] * 2
        threads = [threading.Thread(target=page.request, args=("/api/answer", body)) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(line[3] for line in lines(folder)) == list("abcdefgh")
    assert (folder / "answers.jsonl").read_text().count("\n") == 8


def test_the_page_resumes_where_it_stopped(folder):
    with contextlib.closing(opened(folder)) as session, served(session) as page:
        page.answer(page.questions()[0], 1)
    with contextlib.closing(opened(folder, seed=1)) as session, served(session) as page:
        assert page.json("/api/status")["answers"] == 1
        assert len(page.questions(4)) == 4 and len({q["left"]["id"] for q in page.questions(4)}) > 1


def test_lines_of_others_are_counted_kept_and_not_asked_again(folder):
    photos.write(folder, "pairs.csv", "left,right,order", "a.png,b.png,1")
    with contextlib.closing(opened(folder)) as session, served(session) as page:
        assert page.json("/api/status")["others"] == 1
        held = page.questions(4)
        held += page.questions(4, held)
        assert len(held) == 5  # Of 6, since this person, who has no name, has ordered a and b.
        page.answer(held[0], 1)
        page.annotator = "ann"
        held = page.questions(4)
        assert len(held + page.questions(4, held)) == 6
    assert lines(folder)[0] == ("a.png", "b.png", "1", "") and len(lines(folder)) == 2


def test_a_table_that_was_damaged_meanwhile_is_reported_and_no_answer_is_lost(folder):
    with contextlib.closing(opened(folder)) as session, served(session) as page:
        one, two = page.questions(2)
        (folder / "pairs.csv").write_text("left,right\n")
        page.answer(one, 1)
        session.update_table()
        assert re.search("pairs.csv:1: .*your answers are safe", page.json("/api/status")["problem"])
        (folder / "pairs.csv").unlink()
        page.answer(two, 1)
        session.update_table()
        assert page.json("/api/status")["problem"] == ""
    assert len(lines(folder)) == 2


def test_a_picture_that_was_replaced_or_deleted_meanwhile_is_not_judged(folder, page):
    (question,) = page.questions()
    left, right = question["left"], question["right"]
    photos.picture(9).save(folder / left["name"])
    assert "replaced" in page.answer(question, 1, status=410)["error"]
    assert page.picture(left)[0] == 410
    os.remove(folder / right["name"])
    assert "replaced" in page.answer(question, 1, status=410)["error"]
    assert page.picture(right)[0] == 410
    names = {q[side]["name"] for q in page.questions(4) for side in ("left", "right")}
    assert right["name"] not in names and left["name"] in names
    assert page.json("/api/status")["answers"] == 0


def test_a_file_that_is_no_picture_is_not_shown(folder, page):
    (question,) = page.questions()
    (folder / question["left"]["name"]).write_bytes(b"no picture")
    shown = next(q[s] for q in page.questions(4) for s in ("left", "right") if q[s]["id"] == question["left"]["id"])
    assert page.picture(shown)[0] == 410


def test_a_full_disk_is_said_and_nothing_is_acknowledged(folder, monkeypatch):
    with contextlib.closing(opened(folder)) as session, served(session) as page:
        (question,) = page.questions()
        with monkeypatch.context() as patch:
            patch.setattr(session.log, "append", lambda entry: (_ for _ in ()).throw(OSError(28, "No space left")))
            assert "not stored" in page.answer(question, 1, status=507)["error"]
        assert page.json("/api/status")["answers"] == 0
        page.answer(question, 1)


def test_faces_are_shown_where_there_are_boxes(folder):
    photos.write(folder, "boxes.csv", "name,x,y,width,height", "a.png,10,4,20,30", "b.png,0,0,16,16")
    with contextlib.closing(opened(folder)) as session, served(session) as page:
        (question,) = page.questions()
        shown = {question[side]["name"]: question[side] for side in ("left", "right")}
        assert Image.open(io.BytesIO(page.picture(shown["a.png"])[2])).size == (30, 30)
        assert page.questions(4, [question]) == []


def test_a_large_picture_is_reduced_and_its_center_is_shown_pixel_by_pixel(folder):
    large = photos.picture(5, size=(2000, 1500))
    for name in ("a.png", "b.png"):
        large.save(folder / name)
    with contextlib.closing(opened(folder)) as session, served(session) as page:
        shown = next(q[s] for q in page.questions(4) for s in ("left", "right") if q[s]["name"] in ("a.png", "b.png"))
        _, headers, data = page.picture(shown)
        assert headers["Content-Type"] == "image/jpeg" and Image.open(io.BytesIO(data)).size == (960, 960)
        center = np.asarray(Image.open(io.BytesIO(page.picture(shown, "pixels")[2])), int)
        expected = np.asarray(large.crop((600, 350, 1400, 1150)), int)
        assert center.shape == expected.shape and np.abs(center - expected).mean() < 2


def test_a_table_that_cannot_be_read_or_written_stops_the_page_and_frees_the_log(folder, monkeypatch):
    photos.write(folder, "pairs.csv", "left,right", "a.png,b.png")
    with pytest.raises(ValueError, match="pairs.csv:1"):
        opened(folder)
    assert not (folder / "answers.jsonl").exists()
    photos.write(folder, "pairs.csv", "left,right,order", "a.png,b.png,1")
    with monkeypatch.context() as patch:
        patch.setattr(pairs_table, "update", lambda *_: (_ for _ in ()).throw(OSError("read-only")))
        with pytest.raises(OSError, match="read-only"):
            opened(folder)
    with contextlib.closing(opened(folder)) as session:
        assert session.notes()[-1].endswith("kept 1 lines from elsewhere")
