"""A session's ranker: what teaches it, and what is taken back."""

import contextlib

import numpy as np
import pytest

from blur_jax.label.features import Table
from tests.helpers import photos
from tests.helpers.labeling import opened, served

COUNT = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(COUNT):
        photos.save(folder, f"{seed:02}.png", seed)
    return folder


@pytest.fixture
def table():
    """The first feature is the number of the picture; the last picture cannot be read."""
    features = np.random.default_rng(0).standard_normal((COUNT, 3)).astype(np.float32)
    features[:, 0] = np.arange(COUNT)
    sizes = np.full(COUNT, 48, np.float32)
    features[-1] = sizes[-1] = np.nan
    return Table(
        [f"{row:02}.png" for row in range(COUNT)],
        features,
        np.full(COUNT, 0.5, np.float32),
        sizes,
        "0123456789abcdef",
        7,
        "RUN",
    )


@pytest.fixture
def session(folder, tmp_path, table):
    for name in ("pairs.csv", "answers.jsonl"):
        (folder / name).unlink(missing_ok=True)
    with contextlib.closing(opened(folder)) as session:
        yield session


def blurrier(question):
    return 1 if question["right"]["name"] > question["left"]["name"] else -1


def test_the_ranker_learns_from_answers_before_and_after_it_starts(session, table):
    with served(session) as page:
        for _ in range(10):
            (question,) = page.questions()
            assert question["picker"] in ("random", "repeat") and question["predicted"] is None
            page.answer(question, blurrier(question))
        session.use(table)
        assert page.json("/api/status")["step"] == 10
        found = []
        for _ in range(20):
            (question,) = page.questions()
            found.append(question)
            page.answer(question, blurrier(question))
        assert page.json("/api/status")["step"] == 30
    assert {question["picker"] for question in found} >= {"picked", "random"}
    assert {question["step"] for question in found if question["picker"] == "picked"} <= set(range(10, 30))
    assert "11.png" not in {question[side]["name"] for question in found for side in ("left", "right")}
    assert np.corrcoef(session.ranker.scores[:-1], np.arange(COUNT - 1))[0, 1] > 0.95


def test_an_answer_taken_back_is_unlearned(session, table):
    session.use(table)
    with served(session) as page:
        for _ in range(5):
            (question,) = page.questions()
            status = page.answer(question, blurrier(question))["status"]
        before = session.ranker.weights
        (question,) = page.questions()
        last = page.answer(question, -blurrier(question))["status"]["last"]
        assert np.abs(session.ranker.weights - before).max() > 1e-3
        page.json("/api/undo", {"annotator": "", "of": last})
    np.testing.assert_allclose(session.ranker.weights, before, atol=1e-3)
    assert session.ranker.step == 5 == status["answers"]


def test_skips_teach_nothing_and_lines_from_elsewhere_do(folder, table):
    (folder / "answers.jsonl").unlink(missing_ok=True)
    photos.write(folder, "pairs.csv", "left,right,order", "00.png,05.png,1", "07.png,03.png,-1", "gone.png,03.png,-1")
    with contextlib.closing(opened(folder)) as session, served(session) as page:
        session.use(table)
        page.answer(page.questions()[0], None)
        assert session.ranker.step == 2 and session.ranker.scores[7] > session.ranker.scores[3]


def test_features_of_pictures_that_cannot_be_read_start_no_ranker(session, table):
    session.use(table._replace(sizes=np.full(COUNT, np.nan, np.float32)))
    assert session.ranker is None and session.questions("", [], 1)
