"""A blind test by several people, as the project reads it (0.2 s each)."""

import contextlib

import pytest

from blur_jax.data import judged_table
from blur_jax.label import judged
from blur_jax.label.__main__ import main
from blur_jax.label.photos import Photos
from tests.helpers import photos
from tests.helpers.labeling import opened, served


@pytest.fixture
def folder(tmp_path):
    for seed in range(6):
        photos.save(tmp_path / "photos", f"{seed}.png", seed)
    photos.write(tmp_path / "photos", "ranked.csv", "name,rank", "0.png,0", "1.png,1")
    photos.write(tmp_path, "list.csv", "split,left,right", "far,0.png,1.png", ",2.png,3.png", "far,./5.png,4.png")
    return tmp_path / "photos"


@contextlib.contextmanager
def page_of(folder, seed=0):
    listed = str(folder.parent / "list.csv")
    with contextlib.closing(opened(folder, seed, listed=listed, blind=True)) as session, served(session) as page:
        yield page


def judge(page, annotator, orders, sure=True):
    """Orders the first pairs of the list as they are listed: 1 if the listed right picture is blurrier."""
    page.annotator = annotator
    for order in orders:
        (question,) = page.questions()
        names = question["left"]["name"], question["right"]["name"]
        swapped = names not in (("0.png", "1.png"), ("2.png", "3.png"), ("5.png", "4.png"))
        page.answer(question, -order if swapped else order, sure=sure)


def read(folder):
    table = judged_table.read(folder.parent / "list.judged.csv")
    return table.splits, table.names, table.judges, table.orders.tolist(), table.sure.tolist()


def test_answers_become_a_table_of_judged_pairs(folder):
    with page_of(folder) as page:
        judge(page, "ben", (1, -1, 1))
        assert page.questions() == []
        judge(page, "ann", (1,), sure=False)
        judge(page, "ann", (1,))
        status = page.json("/api/status?annotator=ann")
        assert (status["answers"], status["total"], status["blind"]) == (2, 3, True)
        assert status["agreement"].startswith("all 2 people agree on 50.0% (1 of 2; 95% interval")
    names = [("0.png", "1.png"), ("2.png", "3.png"), ("5.png", "4.png")]
    # Only pairs that both have judged.
    assert read(folder) == (
        ["far", "test"],
        names[:2],
        ["ann", "ben"],
        [[1, 1], [1, -1]],
        [[False, True], [True, True]],
    )
    with page_of(folder, seed=1) as page:
        judge(page, "ann", (-1,))
    assert read(folder)[1:4] == (names, ["ann", "ben"], [[1, 1], [1, -1], [-1, 1]])
    assert not (folder / "pairs.csv").exists() and not (folder / "answers.jsonl").exists()


def test_a_person_without_a_name_is_a_judge(folder):
    with page_of(folder) as page:
        judge(page, "", (1,))
        assert page.json("/api/status")["agreement"] == ""
    assert read(folder)[2] == [judged.UNNAMED]


def test_what_the_table_cannot_hold_is_refused(folder):
    with page_of(folder) as page:
        (question,) = page.questions()
        assert "needs an order" in page.answer(question, 0, status=400)["error"]
        for name in ("split", "ann_sure"):
            assert "a name that can be a column" in page.answer(question, 1, annotator=name, status=400)["error"]
        assert page.answer(question, 1, sure="no", status=400)["error"].startswith("sure must be")
        page.answer(question, None)
    assert not (folder.parent / "list.judged.csv").exists()


def test_without_blind_a_list_is_labeled_like_any_pair(folder):
    photos.write(folder.parent, "list.csv", "left,right", "2.png,3.png", "5.png,4.png")
    listed = str(folder.parent / "list.csv")
    with contextlib.closing(opened(folder, listed=listed)) as session, served(session) as page:
        judge(page, "ann", (0, 1))
        assert page.questions() == []
    assert (folder / "pairs.csv").read_text().count("\n") == 3


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (["left"], "columns left, right"),
        (["left,right"], "there are no pairs"),
        (["left,right", "2.png,9.png"], "list.csv:2: '9.png' is not a usable picture"),
        (["left,right", "2.png,../2.png"], "list.csv:2: '../2.png' is not a usable picture"),
        (["left,right", "2.png,./2.png"], "compared with itself"),
        (["left,right", "2.png,3.png", "3.png,2.png"], "list.csv:3: this pair is already in .*list.csv:2"),
        (["left,right", "2.png"], "list.csv:2: the row has 1 fields"),
    ],
)
def test_a_wrong_list_is_refused(folder, lines, error):
    photos.write(folder.parent, "list.csv", *lines)
    with pytest.raises(ValueError, match=error):
        judged.read_list(str(folder.parent / "list.csv"), Photos(str(folder)))


def test_blind_needs_a_list(folder, capsys):
    assert main([str(folder), "--blind", "--no-browser"]) == 2
    assert "--blind needs --pairs" in capsys.readouterr().err
