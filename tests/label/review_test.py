"""The tabs' requests: the scorer on the answers, training, and the threshold by eye."""

import contextlib
import sys
import time

import numpy as np
import pytest

from blur_jax.label.features import Table
from blur_jax.label.jobs import Job
from blur_jax.label.learning import Learning, _last_step
from blur_jax.runs.threshold import read_threshold
from blur_jax.shipped import DEFAULT, FOLDER
from tests.helpers import photos
from tests.helpers.labeling import opened, served

COUNT = 30
NAMES = [f"{row:02}.png" for row in range(COUNT)]


@pytest.fixture
def folder(tmp_path):
    for seed in range(COUNT):
        photos.save(tmp_path / "photos", NAMES[seed], seed)
    return tmp_path / "photos"


@pytest.fixture
def table():
    """A run whose score is the number of the picture; the last picture cannot be read."""
    features = np.random.default_rng(0).standard_normal((COUNT, 3)).astype(np.float32)
    blur, sizes = np.arange(COUNT, dtype=np.float32) / COUNT, np.full(COUNT, 48, np.float32)
    features[:, 0] = blur
    features[-1] = blur[-1] = sizes[-1] = np.nan
    return Table(NAMES, features, blur, sizes, "0123456789abcdef", 7)


@pytest.fixture
def session(folder):
    with contextlib.closing(opened(folder)) as session:
        yield session


@pytest.fixture
def learning(session, tmp_path):
    (tmp_path / "RUN").mkdir()
    with contextlib.closing(Learning(session, str(tmp_path / "RUN"), str(tmp_path / "RUN"))) as learning:
        yield learning


@pytest.fixture
def page(session, learning):
    with served(session, learning) as page:
        yield page


def answer(page, count, right=lambda number: True):
    """Answers questions by the numbers of the pictures; `right` says whether the number-th answer follows them."""
    for number in range(count):
        (question,) = page.questions()
        sign = 1 if question["right"]["name"] > question["left"]["name"] else -1
        page.answer(question, sign if right(number) else -sign)


def test_without_a_scorer_the_order_comes_from_the_answers(page, session, table):
    assert page.json("/api/overview")["strip"] == []
    session.use(table._replace(fingerprint="", blur=np.full(COUNT, np.nan, np.float32)))
    answer(page, 60)
    found = page.json("/api/overview")
    names = [picture["name"] for picture in found["strip"]]
    assert found["scorer"] is None and found["ordered_by"] == "your answers" and len(names) == 24
    assert np.corrcoef([NAMES.index(name) for name in names], np.arange(24))[0, 1] > 0.9
    assert "28.png" in names and NAMES[-1] not in names and found["hint"] == ""
    assert page.json("/api/threshold") == {"ready": False}
    assert "no scorer yet" in page.json("/api/threshold/write", {}, status=400)["error"]


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
    assert found["run"] == learning.checkpoint and f"--checkpoint={learning.checkpoint}" in found["use"]
    strip = page.json("/api/overview")["strip"]
    assert [picture["score"] for picture in strip] == sorted(picture["score"] for picture in strip)


def test_a_hint_says_when_the_order_has_settled(page, session, table):
    session.use(table)
    answer(page, 130)
    found = page.json("/api/overview")
    assert "hardly changed the order" in found["hint"]
    assert found["curve"] and found["curve"][-1][1] > 0.8


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
    assert "threshold.json" in page.json("/api/threshold/write", {"keep_below": None})["written"]
    written = read_threshold(learning.checkpoint, checkpoint=table.fingerprint)
    assert written.keep_below == pytest.approx(found["keep_below"]) and (written.step, written.pictures) == (7, 12)
    assert written.source.startswith(
        f"chosen by eye from 12 pictures judged good enough or not; 95% interval {found['low']:.4f}"
    )
    page.json("/api/threshold/write", {"keep_below": 0.25})
    written = read_threshold(learning.checkpoint)
    assert (written.keep_below, written.pictures) == (0.25, 0) and "set by hand" in written.source


def test_a_threshold_of_the_scorer_that_ships_is_said_and_not_stored(page, session, learning, table):
    before = sorted(FOLDER.iterdir())
    learning.checkpoint = DEFAULT
    session.use(table)
    judge(page, lambda picture: picture["score"] < 0.395, 12)
    written = page.json("/api/threshold/write", {"keep_below": 0.25})["written"]
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
    assert "keep_below must be a score" in page.json("/api/threshold/write", {"keep_below": value}, status=400)["error"]
    assert "no picture was judged" in page.json("/api/threshold/write", {"keep_below": None}, status=400)["error"]
    assert read_threshold(learning.checkpoint) is None


@pytest.mark.parametrize(("field", "value"), [("id", "x"), ("keep", 1), ("ms", -1), ("annotator", "\n")])
def test_a_wrong_judgment_is_refused(page, session, table, field, value):
    session.use(table)
    picture = page.json("/api/threshold")["next"]
    body = {"id": "00000001", "annotator": "", "picture": picture, "keep": True, "ms": 5}
    assert page.json("/api/judge", body | {field: value}, status=400)["error"].startswith(f"{field} must be")
    page.json("/api/judge", body | {"picture": picture | {"version": "0"}}, status=410)
    page.json("/api/judge", body | {"picture": {"id": "../x"}}, status=410)
    assert page.json("/api/judge", body | {"picture": "x"}, status=400) and not session.log.state.judgments


def test_training_runs_once_and_is_shown(page, learning, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert "not in this folder" in page.json("/api/train", {}, status=400)["error"]
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "folder.py").touch()
    (tmp_path / "launch.py").write_text("import sys, time; print(sys.argv[2], flush=True); time.sleep(60)")
    assert page.json("/api/train", {})["state"] == "running"
    assert "already running" in page.json("/api/train", {}, status=400)["error"]
    (tmp_path / "RUN" / "metrics.jsonl").write_text('{"step": 10}\n{"step": 20}\n{"st')
    deadline = time.monotonic() + 60
    while "manual_dir" not in (training := page.json("/api/overview")["training"])["output"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert training["step"] == 20 and training["command"].startswith("python launch.py --config=configs/folder.py")
    learning.close()
    assert page.json("/api/overview")["training"]["state"] == "failed"


def test_the_report_is_served_without_scripts(page, learning, tmp_path):
    assert page.request("/report")[0] == 410
    (tmp_path / "RUN" / "report.html").write_text("<p>mine")
    status, headers, data = page.request("/report")
    assert (status, data) == (200, b"<p>mine") and "sandbox" in headers["Content-Security-Policy"]
    assert "script" not in headers["Content-Security-Policy"]


def test_the_last_step_of_a_history(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert _last_step(str(path)) is None
    for text, step in (
        ("", None),
        ('{"step": 1', None),
        ('{"step": 1}\n', 1),
        ("no json\n", None),
        ('{"loss": 1}\n', None),
    ):
        path.write_text(text)
        assert _last_step(str(path)) == step


def test_a_job_keeps_its_last_lines_and_calls_back_on_success_alone():
    called = []
    for status in (0, 3):
        program = f"import sys\nfor i in range(30): print(i)\nprint('bad', file=sys.stderr)\nsys.exit({status})"
        job = Job([sys.executable, "-c", program], on_success=lambda: called.append(1))
        job._thread.join()
        assert job.status == status and list(job.tail)[-2:] in (["29", "bad"], ["28", "29"]) and len(job.tail) == 20
    assert called == [1]
