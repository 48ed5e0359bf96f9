"""Undoing a sort never overwrites a file, never removes the last copy, and says what it leaves."""

import os

import pytest

from blur_jax.score import sort_log, undo
from blur_jax.score.sort_log import COPY, LINK, MOVE
from tests.helpers.sorted_pictures import put_back, sort, table, tree, write


@pytest.fixture(autouse=True)
def photos(tmp_path, monkeypatch):
    """Two pictures in photos/, a.jpg to keep and b.jpg to discard, and their table."""
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        write(f"photos/{name}.jpg", name.encode())
    table("scores.csv", [("photos/a.jpg", "keep"), ("photos/b.jpg", "discard")])
    return tree("photos")


def left(message):
    """Undoes as the command does, and expects that only out/keep/a.jpg is left."""
    reasons, _ = put_back("out")
    assert len(reasons) == 1 and message in reasons[0] and "out/keep/a.jpg" in reasons[0]
    assert sorted(tree("out")) == ["discard", "keep", "keep/a.jpg", "undo.jsonl"]


def test_the_command_undoes_once_and_says_so(photos, capsys):
    sort("out")
    for said in ("out: 2 undone, 0 left there", "out: nothing to undo (it has no undo.jsonl)"):
        assert undo.main(["out"]) == 0
        assert said in capsys.readouterr().out
        assert tree("photos") == photos and not os.path.exists("out")


def test_the_command_says_what_is_left(photos, capsys):
    sort("out", COPY)
    write("out/keep/a.jpg", b"edited")
    assert undo.main(["out"]) == 1
    said = capsys.readouterr().out
    assert "out: 1 undone, 1 left there" in said and "out/keep/a.jpg' differs from" in said
    os.unlink("out/keep/a.jpg")
    assert undo.main(["out"]) == 0 and tree("photos") == photos


@pytest.mark.parametrize("changed", ["photos", "out/keep"])
def test_a_copy_that_differs_from_its_original_is_left(changed):
    sort("out", COPY)
    write(f"{changed}/a.jpg", b"A")  # As long as before, and of the same time.
    before = tree("photos")
    left("differs from")
    assert tree("photos") == before


def test_the_last_copy_is_left():
    sort("out", COPY)
    os.unlink("photos/a.jpg")
    left("is the only copy")


def test_a_moved_picture_that_was_edited_comes_back_with_its_edits(photos):
    sort("out")
    write("out/keep/a.jpg", b"edited", 5)
    assert put_back("out") == ([], 0)
    content, _, moment = tree("photos")["a.jpg"]
    assert (content, moment) == (b"edited", 5) and not os.path.exists("out")


def test_a_new_file_in_the_old_place_is_not_overwritten():
    sort("out")
    write("photos/a.jpg", b"new")
    left("which exists; move one of them away")
    assert tree("photos")["a.jpg"][0] == b"new" and tree("photos")["b.jpg"][0] == b"b"


@pytest.mark.parametrize("action", [COPY, MOVE])
def test_a_link_in_the_place_of_a_picture_is_left(action):
    sort("out", action)
    os.rename("out/keep/a.jpg", "a.jpg")
    os.symlink("../../a.jpg", "out/keep/a.jpg")
    left("is no longer a file")
    assert os.path.exists("a.jpg")


@pytest.mark.parametrize("link", ["elsewhere", None])
def test_a_link_that_was_replaced_is_left(link, photos):
    sort("out", LINK)
    os.unlink("out/keep/a.jpg")
    os.symlink(link, "out/keep/a.jpg") if link else write("out/keep/a.jpg", b"mine")
    left("is no longer a link to")
    assert tree("photos") == photos


@pytest.mark.parametrize("action", [COPY, MOVE])
def test_a_folder_that_now_leads_to_the_sorted_pictures_loses_none(action):
    sort("out", action)
    os.rename("photos", "photos2")
    os.symlink("out/keep", "photos")
    reasons, _ = put_back("out")
    assert any("out/keep/a.jpg' differs" in reason for reason in reasons)
    assert tree("out")["keep/a.jpg"][0] == b"a"


def test_deleted_pictures_are_counted(photos, capsys):
    sort("out")
    os.unlink("out/discard/b.jpg")
    assert undo.main(["out"]) == 0
    assert "out: 1 undone, 1 deleted since, 0 left there" in capsys.readouterr().out
    assert list(tree("photos")) == ["a.jpg"] and not os.path.exists("out")


def test_other_files_stay(photos):
    sort("out")
    write("out/keep/mine.txt", b"mine")
    write("out/notes.txt", b"mine")
    assert put_back("out") == ([], 0) and tree("photos") == photos
    assert sorted(tree("out")) == ["keep", "keep/mine.txt", "notes.txt"]


def test_a_sorted_folder_may_be_moved_and_the_old_folder_removed(photos):
    sort("out")
    os.rename("out", "moved")
    os.rmdir("photos")
    assert put_back("moved") == ([], 0)
    assert tree("photos") == photos and not os.path.exists("moved")


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (2, '["keep", "../../a.jpg"]', "undo.jsonl:2: the line is damaged"),
        (2, '["keep", "/etc/passwd"]', "undo.jsonl:2"),
        (2, '["elsewhere", "a.jpg"]', "undo.jsonl:2"),
        (3, '["keep", "a\\u0000"]', "undo.jsonl:3"),
        (3, '{"keep": 1}', "undo.jsonl:3"),
        (1, "[1]", "undo.jsonl:1"),
        (1, '{"action": "move"}', "undo.jsonl:1"),
        (3, None, "undo.jsonl is cut short"),
        (1, "", "undo.jsonl:1"),
    ],
)
def test_a_damaged_log_is_refused_and_touches_nothing(line, text, message):
    sort("out")
    with open("out/undo.jsonl") as file:
        lines = file.read().splitlines()
    lines = lines[: line - 1] if text is None else [*lines[: line - 1], text, *lines[line:]]
    with open("out/undo.jsonl", "w") as file:
        file.write("".join(f"{line}\n" for line in lines))
    before = tree(".")
    with pytest.raises(ValueError, match=message):
        put_back("out")
    assert tree(".") == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"action": "move"', '"action": "burn"'),
        ('"root": "/', '"root": "'),
        ('"folders": ["discard"', '"folders": [".."'),
        ('"temporary": ".blur', '"temporary": "../.blur'),
        ('"format": 1', '"format": 2'),
    ],
)
def test_a_header_with_an_invalid_value_is_refused(old, new):
    sort("out")
    with open("out/undo.jsonl") as file:
        text = file.read()
    assert old in text
    with open("out/undo.jsonl", "w") as file:
        file.write(text.replace(old, new))
    with pytest.raises(ValueError, match=r"undo\.jsonl:1: the line is damaged"):
        put_back("out")


def test_a_log_that_is_missing_is_not_created():
    with pytest.raises(FileNotFoundError):
        sort_log.load(os.path.abspath("photos"))
    assert sorted(os.listdir("photos")) == ["a.jpg", "b.jpg"]


def test_a_mark_that_was_cut_short_counts_for_nothing(photos):
    sort("out")
    with open("out/undo.jsonl", "rb+") as file:
        file.truncate(len(file.read()) - 3)
    with sort_log.load(os.path.abspath("out")) as log:
        assert log.state == ""
    assert "1 in keep, 1 in discard" in sort("out")
    with sort_log.load(os.path.abspath("out")) as log:
        assert log.state == sort_log.SORTED
    assert put_back("out") == ([], 0) and tree("photos") == photos
