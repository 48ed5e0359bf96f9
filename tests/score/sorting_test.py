"""Sorting a table's pictures: what is where afterwards, and what is refused before anything is touched."""

import errno
import os
import unicodedata

import pytest

from blur_jax.data import files, moves
from blur_jax.score import sort_log, sorting
from blur_jax.score.sort_log import COPY, LINK, MOVE
from tests.helpers.sorted_pictures import put_back, sort, table, tree, write

ROWS = [
    ("photos/a.jpg", "keep"),
    ("photos/b.jpg", "discard"),
    ("photos/sub/a.jpg", "discard"),
    ("photos/bad.jpg", ""),
    ("photos/two.jpg", "discard"),
    ("photos/two.jpg", "keep"),
]
SORTED = {"keep": None, "discard": None, "discard/sub": None}
PLACES = {"a.jpg": "keep/a.jpg", "b.jpg": "discard/b.jpg", "sub/a.jpg": "discard/sub/a.jpg", "two.jpg": "keep/two.jpg"}


@pytest.fixture(autouse=True)
def photos(tmp_path, monkeypatch):
    """The pictures of ROWS and a side file in photos/, and their table."""
    monkeypatch.chdir(tmp_path)
    for name, _ in [*ROWS, ("photos/a.xmp", "")]:
        write(name, name.encode())
    table("scores.csv", ROWS)
    return tree("photos")


def sorted_tree(folder="out"):
    found = tree(folder)
    assert found.pop(sort_log.NAME)
    return found


@pytest.mark.parametrize("action", [COPY, LINK, MOVE])
def test_pictures_are_sorted_and_put_back(photos, action):
    said = sort("out", action)
    assert "out: 2 in keep, 2 in discard; not sorted: 1 without a score. To undo: python" in said
    expected = {place: photos[name] for name, place in PLACES.items()}
    if action == LINK:
        expected = {place: os.path.abspath(f"photos/{name}") for name, place in PLACES.items()}
    assert sorted_tree() == SORTED | expected
    left = {name: file for name, file in photos.items() if name not in PLACES} if action == MOVE else photos
    assert tree("photos") == left
    assert put_back("out") == ([], 0)
    assert tree("photos") == photos and not os.path.exists("out")


@pytest.mark.parametrize("action", [COPY, LINK, MOVE])
def test_a_folder_that_was_there_is_as_before(photos, action):
    write("out/keep/mine.jpg", b"mine")
    os.makedirs("out/discard/sub")
    before = tree("out")
    sort("out/", action)
    assert tree("out").keys() > before.keys()
    put_back("out")
    assert tree("out") == before and tree("photos") == photos


@pytest.mark.parametrize("action", [COPY, LINK, MOVE])
def test_sorting_again_does_nothing(action, monkeypatch):
    said, before = sort("out", action), tree(".")
    os.rename("out/keep/a.jpg", "mine.jpg")  # A sorted picture is the user's.
    assert sort("out", action) == said
    os.rename("mine.jpg", "out/keep/a.jpg")
    assert tree(".") == before


@pytest.mark.parametrize("name", ["line\nbreak.jpg", os.fsdecode(b"\xff.jpg"), "..a.jpg", "-n.jpg", "ünï \\ '\".jpg"])
@pytest.mark.parametrize("action", [COPY, LINK, MOVE])
def test_odd_names(name, action):
    write(f"odd/{name}", b"x")
    write(f"odd/{name}.d/{'n' * 251}.jpg", b"y")
    before = tree("odd")
    table("odd.csv", [(f"odd/{name}", "keep"), (f"odd/{name}.d/{'n' * 251}.jpg", "discard")])
    sort("out", action, "odd.csv", ["odd"])
    assert os.path.lexists(f"out/keep/{name}") and os.path.lexists(f"out/discard/{name}.d/{'n' * 251}.jpg")
    put_back("out")
    assert tree("odd") == before and not os.path.exists("out")


def test_links_are_copied_but_not_moved(photos):
    os.symlink("a.jpg", "photos/link.jpg")
    table("scores.csv", [*ROWS, ("photos/link.jpg", "keep")])
    sort("copies", COPY)
    assert tree("copies")["keep/link.jpg"] == photos["a.jpg"]
    assert "not sorted: 1 without a score, 1 behind symbolic links" in sort("out", MOVE)
    assert os.readlink("photos/link.jpg") == "a.jpg"


def refused(message, folder="out", action=MOVE, **options):
    before = tree(".")
    with pytest.raises(ValueError, match=message):
        sort(folder, action, **options)
    assert tree(".") == before


@pytest.mark.parametrize("action", [COPY, LINK, MOVE])
@pytest.mark.parametrize("taken", ["keep/two.jpg", "discard/sub/a.jpg"])
def test_a_name_that_is_taken_is_refused_before_anything_is_sorted(action, taken):
    os.makedirs(os.path.dirname(f"out/{taken}"))
    os.symlink("nowhere", f"out/{taken}")
    refused(f"{taken}' already exists; choose a different folder", action=action)


def test_folders_that_cannot_be_used_are_refused(monkeypatch):
    write("file", b"x")
    refused("file is not a folder", "file")
    refused("the folder .*no/such does not exist; create it", "no/such/folder")
    refused("photos/sorted is inside photos", "photos/sorted")
    refused("photos is inside photos", "photos")
    refused(r"inside photos/\*", "photos/sub/sorted", paths=["photos/*"])
    os.symlink("photos", "linked")
    refused("linked/sorted is inside photos", "linked/sorted")
    table("sorted.csv", [("photos/keep/a.jpg", "discard")])
    write("photos/keep/a.jpg", b"x")
    refused("photos/keep is inside .*photos;", "photos", rows="sorted.csv", paths=["photos/keep/a.jpg"])
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not path.endswith("sub") and access(path, mode))
    refused("photos/sub is read-only, so its pictures cannot be moved; copy them")
    sort("out", COPY)


def test_a_folder_beside_pictures_or_a_list_may_be_used():
    sort("photos/sorted", paths=["photos/a.jpg"])
    put_back("photos/sorted")
    write("photos/[1].jpg", b"x")
    table("one.csv", [("photos/[1].jpg", "keep")])
    for _ in range(2):  # The second time, the path could be a glob.
        assert "1 in keep" in sort("photos/sorted", rows="one.csv", paths=["photos/[1].jpg"])
    put_back("photos/sorted")
    write("photos/list.csv", b"name\na.jpg\n")
    sort("photos/sorted", paths=["photos/list.csv"])


@pytest.mark.parametrize("gone", [True, False])
def test_a_picture_that_is_not_there_is_refused(gone):
    os.unlink("photos/two.jpg")
    if not gone:
        os.mkdir("photos/two.jpg")
    refused("photos/two.jpg' is missing, or is not a file")


@pytest.mark.parametrize(
    "names", [("A.jpg", "a.jpg"), ("é.jpg", unicodedata.normalize("NFD", "é.jpg")), ("X/a.jpg", "x/a.jpg")]
)
def test_names_that_a_disk_does_not_tell_apart_are_refused(monkeypatch, names):
    for name in names:
        write(f"odd/{name}", name.encode())
    rows, lexists = table("odd.csv", [(f"odd/{name}", "keep") for name in names]), os.path.lexists
    options = {"rows": rows, "paths": ["odd"]}
    with monkeypatch.context() as patch:
        # A probe is found under other spellings, as on macOS.
        patch.setattr(os.path, "lexists", lambda path: "blur_jax_" in os.path.basename(path).lower() or lexists(path))
        refused("are the same name on the disk of", **options)
    sort("out", **options)
    assert len([path for path in sorted_tree() if path.endswith(".jpg")]) == 2


@pytest.mark.parametrize("action", [COPY, LINK, MOVE])
def test_a_file_that_appears_meanwhile_stays(monkeypatch, action, photos):
    makedirs = os.makedirs

    def appear(folder, exist_ok):
        makedirs(folder, exist_ok=exist_ok)
        if folder.endswith("sub"):
            os.symlink("elsewhere", f"{folder}/a.jpg") if action == LINK else open(f"{folder}/a.jpg", "w").close()

    monkeypatch.setattr(os, "makedirs", appear)
    with pytest.raises(FileExistsError):
        sort("out", action)
    with pytest.raises(FileExistsError, match=r"out/discard/sub/a\.jpg' is not the picture .*move it away"):
        sort("out", action)
    reasons, _ = put_back("out")
    assert len(reasons) == 1 and "out/discard/sub/a.jpg" in reasons[0]
    os.rename("out/discard/sub/a.jpg", "mine.jpg")
    assert put_back("out") == ([], 0) and tree("photos") == photos and not os.path.exists("out")


def test_after_an_error_the_same_command_continues(monkeypatch, photos):
    copy = moves.copy

    def fill(source, target, temporary):
        if source.endswith("sub/a.jpg"):
            raise OSError(errno.ENOSPC, "No space left on device", target)
        copy(source, target, temporary)

    with monkeypatch.context() as patch:
        patch.setattr(moves, "copy", fill)
        with pytest.raises(OSError, match="No space left"):
            sort("out", COPY)
    os.unlink("photos/two.jpg")  # Before it could be copied.
    assert "1 without a score, 1 missing" in sort("out", COPY)
    assert sorted_tree() == SORTED | {place: photos[name] for name, place in PLACES.items() if name != "two.jpg"}


def test_two_commands_cannot_sort_into_one_folder(monkeypatch):
    carry_out, said = sorting.carry_out, []

    def meanwhile(log):
        for other in (lambda: sort("out"), lambda: put_back("out")):
            with pytest.raises(ValueError, match="another process is sorting"):
                other()
            said.append(1)
        return carry_out(log)

    monkeypatch.setattr(sorting, "carry_out", meanwhile)
    sort("out")
    assert len(said) == 2


def test_a_folder_that_another_command_has_taken_meanwhile_is_refused(photos):
    """As while the pictures were scored, which may take hours."""
    write("others/c.jpg", b"c")
    sort("out", rows=table("others.csv", [("others/c.jpg", "keep")]), paths=["others"])
    with pytest.raises(ValueError, match="a different command has sorted"):
        sort("out")
    assert tree("photos") == photos


def test_a_folder_with_bytes_that_are_not_text_can_be_named():
    said = sort(os.fsdecode(b"\xff"))
    assert "\\udcff" in said and said.encode()


def test_two_commands_cannot_begin_at_once(monkeypatch, photos):
    os.mkdir("out")
    lock = files.lock

    def second(file, held):
        monkeypatch.setattr(files, "lock", lock)
        os.rename("out/.undo.jsonl.tmp", "out/undo.jsonl")  # As the first command does.
        lock(file, held)

    monkeypatch.setattr(files, "lock", second)
    with pytest.raises(ValueError, match="another process is sorting"):
        sort("out")
    assert tree("photos") == photos


def test_the_log_is_on_disk_before_a_picture_moves(monkeypatch):
    def fill(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fill)
    before = tree(".")
    with pytest.raises(OSError, match=r"No space left on device: .*undo\.jsonl"):
        sort("out")
    os.mkdir("out")
    with pytest.raises(OSError, match="No space left on device"):
        sort("out")
    assert tree(".") == before | {"out": None}
