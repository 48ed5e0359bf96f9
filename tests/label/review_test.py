"""The tabs' requests: the scorer on the answers, and the threshold by eye."""

import contextlib
import os
import time

import numpy as np
import pytest

from blur_jax.data.timestamps import now
from blur_jax.runs.threshold import read_threshold
from blur_jax.shipped import DEFAULT, FOLDER
from tests.helpers.labeling import COUNT, NAMES, opened


def answer(page, count, right=lambda number: True):
    """Answers questions by the numbers of the pictures; `right` says whether the number-th answer follows them."""
    for number in range(count):
        (question,) = page.questions()
        sign = 1 if question["right"]["name"] > question["left"]["name"] else -1
        page.answer(question, sign if right(number) else -sign)


def test_before_the_pictures_are_read_there_is_no_scorer(page):
    answer(page, 5)
    found = page.json("/api/overview")
    assert (found["scorer"], found["strips"], found["hint"]) == (None, [], "")
    assert page.json("/api/threshold") == {"ready": False}
    assert "has not read" in page.json("/api/threshold/write", {}, status=400)["error"]


def test_the_order_is_shown_by_the_scorer_and_by_the_answers(page, session, table):
    session.use(table._replace(blur=1 - table.blur))  # The scorer is always wrong.
    (strip,) = page.json("/api/overview")["strips"]
    assert strip["by"] == table.run and strip["pictures"][0]["name"] == "28.png"
    answer(page, 60)
    by_scorer, by_answers = page.json("/api/overview")["strips"]
    assert by_scorer == strip and by_answers["by"] == "your answers alone"
    numbers = [NAMES.index(picture["name"]) for picture in by_answers["pictures"]]
    assert len(numbers) == 24 and np.corrcoef(numbers, np.arange(24))[0, 1] > 0.9
    assert 28 in numbers and COUNT - 1 not in numbers  # The last picture cannot be read.
    for shown in (by_scorer, by_answers):
        scores = [picture["score"] for picture in shown["pictures"]]
        assert scores == sorted(scores)


def test_a_scorer_is_checked_on_random_pairs_alone(page, session, learning, table):
    answer(page, 20, right=lambda number: number % 10)  # Without a ranker, all are random.
    session.use(table)
    answer(page, 30)
    random = [a for a in session.log.state.answers.values() if a.picker == "random"]
    found = page.json("/api/overview")["scorer"]
    assert 20 < found["total"] < 50 and found["total"] <= len(random)  # The unreadable picture's pairs are left out.
    assert found["total"] - found["right"] == len(found["disagreements"]) in (1, 2)
    assert 0 < found["low"] < found["right"] / found["total"] < found["high"] < 1
    gaps = []
    for mistake in found["disagreements"]:
        left, right = (picture["score"] for picture in mistake["pair"])
        gaps.append((left - right) * mistake["order"])
    assert gaps == sorted(gaps, reverse=True) and min(gaps) > 0
    assert (found["run"], found["answers"], found["trained"]) == (table.run, 50, False)
    assert found["use"] == (
        f"python -m blur_jax.score --checkpoint={table.run} {session.photos.folder} --output=photos_scores.csv"
    )


def test_a_hint_says_when_the_order_has_settled(page, session, table):
    session.use(table)
    answer(page, 130)
    found = page.json("/api/overview")
    assert "hardly changed the order" in found["hint"]
    assert found["curve"] and found["curve"][-1][1] > 0.8


def test_a_scorer_is_tested_only_on_answers_given_since_it_was_trained(page, session, table):
    answer(page, 8)
    trained = {"trained_on": os.path.realpath(session.photos.folder), "trained_by": now()}
    time.sleep(0.002)  # Times are stored in milliseconds.
    answer(page, 6)

    def checked(**fields):
        session.use(table._replace(**fields))
        found = page.json("/api/overview")["scorer"]
        assert found["answers"] == 14
        return found["trained"], found["total"]

    readable = NAMES[:-1]
    given = [{a.left, a.right} <= set(readable) for a in session.log.state.answers.values()]
    assert checked() == checked(trained_on="/elsewhere") == (False, sum(given))
    assert checked(**trained) == (True, sum(given[8:]))
    assert checked(**trained | {"trained_by": ""}) == (True, 0)  # Unknown.


def write(page, table, keep_below, status=200):
    body = {"keep_below": keep_below, "fingerprint": table.fingerprint}
    return page.json("/api/threshold/write", body, status=status)["written" if status == 200 else "error"]


def judge(page, keep, count):
    found = page.json("/api/threshold")
    for number in range(count):
        body = {"id": f"{number:08x}", "annotator": "", "picture": found["next"], "ms": 500}
        found = page.json("/api/judge", body | {"keep": keep(found["next"])})
    return found


def test_a_threshold_by_eye_is_written_with_how_it_was_chosen(page, session, learning, table):
    session.use(table)
    found = judge(page, lambda picture: picture["score"] < 0.395, 12)
    assert found["answers"] == 12 and found["keep_below"] == pytest.approx(0.383, abs=0.04)
    assert found["low"] < found["keep_below"] < found["high"] and found["share"] == pytest.approx(12 / 29, abs=0.05)
    assert min(abs(picture["score"] - found["keep_below"]) for picture in found["near"]) < 0.04
    assert "threshold.json" in write(page, table, None)
    written = read_threshold(learning.checkpoint, checkpoint=table.fingerprint)
    assert written.keep_below == pytest.approx(found["keep_below"]) and (written.step, written.pictures) == (7, 12)
    assert written.source.startswith(
        f"chosen by eye from 12 pictures judged good enough or not; 95% interval {found['low']:.4f}"
    )
    write(page, table, 0.25)
    written = read_threshold(learning.checkpoint)
    assert (written.keep_below, written.pictures) == (0.25, 0) and "set by hand" in written.source


def test_a_threshold_of_the_scorer_that_ships_is_said_and_not_stored(page, session, learning, table):
    before = sorted(FOLDER.iterdir())
    session.use(table._replace(run=DEFAULT))
    judge(page, lambda picture: picture["score"] < 0.395, 12)
    written = write(page, table, 0.25)
    assert written == "To use this threshold, pass --keep-below=0.2500 to blur_jax.score."
    assert sorted(FOLDER.iterdir()) == before


def test_a_judgment_can_be_taken_back_and_survives_a_restart(folder, page, session, table):
    session.use(table)
    found = judge(page, lambda picture: True, 3)
    body = {"annotator": "", "of": found["last"]}
    assert page.json("/api/judge/undo", body)["answers"] == 2
    assert page.json("/api/judge/undo", body)["answers"] == 2
    assert len(session.log.state.judgments) == 2
    session.log.close()
    with contextlib.closing(opened(folder)) as again:
        assert again.log.state.judgments == session.log.state.judgments and again.log.state.answers == {}


@pytest.mark.parametrize("value", [-0.1, 1.5, "0.5", True, [1]])
def test_a_threshold_that_is_no_score_is_refused(page, session, learning, table, value):
    session.use(table)
    assert "keep_below must be a score" in write(page, table, value, status=400)
    body = {"keep_below": value, "fingerprint": table.fingerprint}
    assert "keep_below must be a score" in page.json("/api/threshold/line", body, status=400)["error"]
    assert read_threshold(learning.checkpoint) is None


def test_fewer_than_eight_judgments_choose_no_threshold(page, session, table):
    session.use(table)
    assert judge(page, lambda picture: picture["score"] < 0.395, 7)["least"] == 8
    assert write(page, table, None, status=400) == "judge 8 pictures or more, not 7, or move the line"
    assert read_threshold(table.run) is None
    write(page, table, 0.25)
    found = page.json("/api/threshold")
    picture = {"picture": found["next"], "keep": True}
    page.json("/api/judge", {"id": "0000ffff", "annotator": "", "ms": 500} | picture)
    write(page, table, None)
    assert read_threshold(table.run).pictures == 8


def test_a_line_that_is_moved_has_its_own_pictures_and_share(page, session, table):
    session.use(table)
    body = {"keep_below": 0.2, "fingerprint": table.fingerprint}
    found = page.json("/api/threshold/line", body)
    assert found["share"] == pytest.approx(6 / 29)  # 0 to 5 of 30; the last picture cannot be read.
    assert [picture["name"] for picture in found["near"]] == NAMES[:12]
    found = page.json("/api/threshold/line", body | {"keep_below": 0.61})
    assert [picture["name"] for picture in found["near"]] == NAMES[13:25]


def test_a_threshold_for_a_former_scorer_is_refused(page, session, table, tmp_path):
    session.use(table)
    session.use(table._replace(run=str(tmp_path / "RUN-2"), fingerprint="fedcba9876543210"))
    assert "the scorer is now" in (error := write(page, table, 0.25, status=409)) and "RUN-2" in error
    page.json("/api/threshold/line", {"keep_below": 0.25, "fingerprint": table.fingerprint}, status=409)
    assert read_threshold(tmp_path / "RUN") is read_threshold(tmp_path / "RUN-2") is None


@pytest.mark.parametrize(("field", "value"), [("id", "x"), ("keep", 1), ("ms", -1), ("annotator", "\n")])
def test_a_wrong_judgment_is_refused(page, session, table, field, value):
    session.use(table)
    picture = page.json("/api/threshold")["next"]
    body = {"id": "00000001", "annotator": "", "picture": picture, "keep": True, "ms": 5}
    assert page.json("/api/judge", body | {field: value}, status=400)["error"].startswith(f"{field} must be")
    page.json("/api/judge", body | {"picture": picture | {"version": "0"}}, status=410)
    page.json("/api/judge", body | {"picture": {"id": "../x"}}, status=410)
    assert page.json("/api/judge", body | {"picture": "x"}, status=400) and not session.log.state.judgments
