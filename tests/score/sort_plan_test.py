"""Where each scored picture goes. The files need not exist here."""

import os

import pytest

from blur_jax.score.results import Result
from blur_jax.score.sort_plan import Plan, plan


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    return str(tmp_path)


def planned(*rows, paths=("photos",)):
    return plan([Result(name, None if keep is None else 0.5, keep) for name, keep in rows], paths)


def test_paths_are_relative_to_the_given_folder(here):
    expected = Plan(f"{here}/photos", [("keep", "sub/a.jpg"), ("discard", "sub/b.jpg")], 0)
    rows = ("photos/sub/a.jpg", "keep"), ("photos/sub/b.jpg", "discard")
    assert planned(*rows) == expected
    assert planned(*rows, paths=["photos/*/*.jpg"]) == expected
    assert planned(*rows, paths=[f"{here}/photos"]) == expected
    assert planned(*rows, paths=["photos/list.csv"]) == expected
    assert planned(*rows, paths=["-"]).root == f"{here}/photos/sub"
    assert planned(*rows, paths=["photos/sub/a.jpg", "photos/sub/b.jpg"]).root == f"{here}/photos/sub"
    assert planned(*rows, paths=["*/*/*.jpg"]).root == here


def test_brackets_in_the_name_of_a_folder_are_not_a_glob(here):
    os.mkdir("odd [1]")
    open("odd [1]/a.jpg", "w").close()
    found = planned(("odd [1]/a.jpg", "keep"), paths=["odd [1]/a.jpg"])
    assert found == Plan(f"{here}/odd [1]", [("keep", "a.jpg")], 0)


def test_the_same_name_in_two_folders_does_not_collide(here):
    rows = ("photos/a.jpg", "keep"), ("photos/sub/a.jpg", "keep"), ("other/a.jpg", "keep")
    assert planned(*rows, paths=["photos", "other"]).pictures == [
        ("keep", "photos/a.jpg"),
        ("keep", "photos/sub/a.jpg"),
        ("keep", "other/a.jpg"),
    ]


def test_a_list_may_name_pictures_elsewhere(here):
    assert planned(("other/a.jpg", "keep"), paths=["photos/list.csv"]) == Plan(here, [("keep", "other/a.jpg")], 0)


@pytest.mark.parametrize(
    ("keeps", "label"),
    [
        (["discard", "keep"], "keep"),
        (["keep", "discard"], "keep"),
        (["discard", None, "discard"], "discard"),
        ([None, "keep"], "keep"),
        ([None, None], None),
    ],
)
def test_a_picture_is_kept_if_any_face_is(here, keeps, label):
    names = ("photos/a.jpg", "./photos/a.jpg", f"{here}/photos/a.jpg")
    expected = [(label, "a.jpg")] if label else []
    assert planned(*zip(names, keeps)) == Plan(f"{here}/photos", expected, label is None)


def test_a_picture_in_a_linked_folder_is_sorted_once(here):
    os.symlink("sub", "photos/linked")
    assert planned(("photos/linked/a.jpg", "discard"), ("photos/sub/a.jpg", "keep")).pictures == [
        ("keep", "linked/a.jpg")
    ]


def test_a_folder_above_a_linked_one_is_the_one_on_the_disk(here):
    os.makedirs("far/away")
    os.symlink("../far/away", "photos/linked")
    found = planned(("photos/linked/../a.jpg", "keep"), ("photos/a.jpg", "discard"))
    assert found == Plan(here, [("keep", "far/a.jpg"), ("discard", "photos/a.jpg")], 0)


def test_pictures_without_a_score_stay(here):
    assert planned(("/a.jpg", None), ("photos/b.jpg", "keep")) == Plan(f"{here}/photos", [("keep", "b.jpg")], 1)
    assert planned(("a.jpg", None), paths=["-"]) == Plan(here, [], 1)
