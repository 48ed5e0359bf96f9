"""What runs in the background of the page: training, and reading the pictures with the new scorer."""

import contextlib
import sys
import time

import pytest

from blur_jax.label import features
from blur_jax.label.jobs import Job
from blur_jax.label.learning import Learning, _last_step
from blur_jax.label.session import Session
from blur_jax.shipped import DEFAULT


def write_launcher(folder, program):
    """Makes `folder` a project folder whose launch.py is a program."""
    (folder / "configs").mkdir()
    (folder / "configs" / "folder.py").touch()
    (folder / "launch.py").write_text(program)


def test_training_runs_once_and_is_shown(page, learning, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert "not in this folder" in page.json("/api/train", {}, status=400)["error"]
    write_launcher(tmp_path, "import sys, time; print(sys.argv[2], flush=True); time.sleep(60)")
    for count in range(20):
        refused = page.json("/api/train", {}, status=400)["error"]
        assert refused.startswith(f"training needs 20 pairs or more, not {count};")
        page.answer(page.questions()[0], count % 2)  # Ties are pairs, too.
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
    write_launcher(tmp_path, "import os, sys; os.makedirs(sys.argv[3].split('=')[1] + '/checkpoints')")
    monkeypatch.setattr(Learning, "compute_features", lambda self: None)
    monkeypatch.setattr(Session, "count_pairs", lambda self: 20)
    with contextlib.closing(Learning(session, DEFAULT, "runs/photos/")) as learning:
        assert learning.training()["command"].endswith(" --workdir=runs/photos")
        for run in ("runs/photos", "runs/photos-2", "runs/photos-3"):
            learning.train()
            learning._training._thread.join()
            assert learning.training()["state"] == "done", learning.training()["output"]
            assert learning.checkpoint == learning.workdir == run
            assert learning.training()["command"].endswith(f" --workdir={run}")
    with contextlib.closing(Learning(session, DEFAULT, "runs/photos")) as learning:
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
    assert found["training"]["state"] == "reading" and found["strips"][0]["by"] == table.run
    assert found["scorer"]["run"] == page.json("/api/threshold")["run"] == table.run
    (tmp_path / "read").touch()
    learning._features._thread.join()
    found, expected = page.json("/api/overview"), new if status == 0 else table
    assert found["training"]["state"] == state
    (strip,) = found["strips"]
    assert found["scorer"]["run"] == strip["by"] == page.json("/api/threshold")["run"] == expected.run
    assert strip["pictures"][0]["name"] == ("28.png" if status == 0 else "00.png")


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
