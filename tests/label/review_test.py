"""The tabs' requests: the scorer on the answers, training, and the threshold by eye."""

import contextlib
import os
import sys
import time

import numpy as np
import pytest

from blur_jax.label import features
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
def table(tmp_path):
    """A run whose score is the number of the picture; the last picture cannot be read."""
    features = np.random.default_rng(0).standard_normal((COUNT, 3)).astype(np.float32)
    blur, sizes = np.arange(COUNT, dtype=np.float32) / COUNT, np.full(COUNT, 48, np.float32)
    features[:, 0] = blur
    features[-1] = blur[-1] = sizes[-1] = np.nan
    return Table(NAMES, features, blur, sizes, "0123456789abcdef", 7, str(tmp_path / "RUN"))


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
    session.use(table._replace(fingerprint="", run="", blur=np.full(COUNT, np.nan, np.float32)))
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
    assert (found["run"], found["answers"], found["trained"]) == (table.run, 50, False)
    assert found["use"] == (
        f"python -m blur_jax.score --checkpoint={table.run} {session.photos.folder} --output=photos_scores.csv"
    )
    strip = page.json("/api/overview")["strip"]
    assert [picture["score"] for picture in strip] == sorted(picture["score"] for picture in strip)


def test_a_hint_says_when_the_order_has_settled(page, session, table):
    session.use(table)
    answer(page, 130)
    found = page.json("/api/overview")
    assert "hardly changed the order" in found["hint"]
    assert found["curve"] and found["curve"][-1][1] > 0.8


def test_a_scorer_that_was_trained_on_the_answers_is_not_said_to_be_tested(page, session, table):
    answer(page, 5)
    for trained_on, expected in ((os.path.realpath(session.photos.folder), True), ("/elsewhere", False), ("", False)):
        session.use(table._replace(trained_on=trained_on))
        assert page.json("/api/overview")["scorer"]["trained"] == expected


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


def test_training_again_writes_a_new_run(session, monkeypatch, tmp_path):
    """The launcher refuses a run directory that holds a run, as launch.py does when labels were added."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "folder.py").touch()
    (tmp_path / "launch.py").write_text("import os, sys; os.makedirs(sys.argv[3].split('=')[1] + '/checkpoints')")
    monkeypatch.setattr(Learning, "compute_features", lambda self: None)
    with contextlib.closing(Learning(session, None, "runs/photos/")) as learning:
        assert learning.training()["command"].endswith(" --workdir=runs/photos")
        for run in ("runs/photos", "runs/photos-2", "runs/photos-3"):
            learning.train()
            learning._training._thread.join()
            assert learning.training()["state"] == "done", learning.training()["output"]
            assert learning.checkpoint == learning.workdir == run
            assert learning.training()["command"].endswith(f" --workdir={run}")
    with contextlib.closing(Learning(session, None, "runs/photos")) as learning:
        assert learning.workdir == "runs/photos-4"


@pytest.mark.parametrize(("status", "state"), [(0, "done"), (3, "unread")])
def test_a_new_scorer_has_its_name_and_its_scores_at_once(
    page, session, learning, table, monkeypatch, tmp_path, status, state
):
    """While its pictures are read, the former scorer is shown, and the page is told to ask again."""
    session.use(table)
    new = table._replace(run=str(tmp_path / "RUN-2"), blur=1 - table.blur, fingerprint="fedcba9876543210")
    wait = f"import os, sys, time\nwhile not os.path.exists('read'): time.sleep(0.02)\nsys.exit({status})"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", command_of(tmp_path / "python", wait))
    monkeypatch.setattr(features, "read", lambda path: new)
    learning._training = Job(["true"], on_success=learning._trained)
    learning._training._thread.join()
    found = page.json("/api/overview")
    assert found["training"]["state"] == "reading" and found["ordered_by"] == table.run
    assert found["scorer"]["run"] == page.json("/api/threshold")["run"] == table.run
    (tmp_path / "read").touch()
    learning._features._thread.join()
    found, expected = page.json("/api/overview"), new if status == 0 else table
    assert found["training"]["state"] == state
    assert found["scorer"]["run"] == found["ordered_by"] == page.json("/api/threshold")["run"] == expected.run
    assert found["strip"][0]["name"] == ("28.png" if status == 0 else "00.png")


def command_of(path, program):
    """An executable that runs a program, whatever its arguments are."""
    path.write_text(f"#!{sys.executable}\n{program}\n")
    path.chmod(0o755)
    return str(path)


def test_features_of_a_former_run_do_not_replace_those_of_a_newer_one(session, learning, monkeypatch, tmp_path):
    used = []
    monkeypatch.setattr(sys, "executable", command_of(tmp_path / "python", "import time; time.sleep(60)"))
    monkeypatch.setattr(session, "use", used.append)
    learning.compute_features()
    first = learning._features
    learning._trained()
    assert first.status not in (None, 0) and learning._features is not first and used == []


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
