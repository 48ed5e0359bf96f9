"""Files are copied and moved without overwriting or losing any."""

import errno
import os
import shutil

import pytest

from blur_jax.data import moves
from tests.helpers.sorted_pictures import MOMENT, tree, write


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A file a, and an empty folder b, in the working directory."""
    monkeypatch.chdir(tmp_path)
    write("from/a", b"bytes")
    os.chmod("from/a", 0o640)
    os.mkdir("to")
    return tmp_path


def fail(number):
    """Returns a function that fails with an error of the system."""

    def function(*_, **__):
        raise OSError(number, os.strerror(number))

    return function


def run(action):
    getattr(moves, action)("from/a", "to/a", "to/.tmp")


@pytest.mark.parametrize("refused", [None, errno.EPERM, errno.EOPNOTSUPP, errno.EXDEV])
def test_a_moved_file_is_the_same_on_every_file_system(folder, monkeypatch, refused):
    before = tree("from")
    link = os.link
    if refused == errno.EXDEV:  # Within a folder, links are possible.
        monkeypatch.setattr(
            os, "link", lambda a, b: link(a, b) if os.path.dirname(a) == os.path.dirname(b) else fail(refused)()
        )
    elif refused:
        monkeypatch.setattr(os, "link", fail(refused))
    run("move")
    assert tree("to") == before and tree("from") == {}
    assert os.stat("to/a").st_mtime_ns == MOMENT and os.stat("to/a").st_nlink == 1


def test_a_file_moves_to_a_file_system_of_its_own(folder):
    memory = "/dev/shm"
    if not os.path.isdir(memory) or os.stat(memory).st_dev == os.stat(folder).st_dev:
        pytest.skip("/dev/shm is not a file system of its own here")
    place, before = os.path.join(memory, f"blur_jax_test_{os.getpid()}"), tree("from")
    os.mkdir(place)
    try:
        moves.move("from/a", f"{place}/a", f"{place}/.tmp")
        assert tree(place) == before and tree("from") == {}
        moves.move(f"{place}/a", "from/a", "from/.tmp")
        assert tree("from") == before and tree(place) == {}
    finally:
        shutil.rmtree(place)


def test_a_copy_is_the_same(folder):
    before = tree("from")
    write("to/.tmp", b"of a killed command")
    run("copy")
    assert tree("to") == before == tree("from")


def test_a_link_is_copied_as_the_file_it_leads_to(folder):
    os.symlink("a", "from/link")
    moves.copy("from/link", "to/a", "to/.tmp")
    assert tree("to")["a"] == tree("from")["a"]


@pytest.mark.parametrize("action", ["copy", "move"])
@pytest.mark.parametrize("refused", [None, errno.EPERM])
@pytest.mark.parametrize("taken", ["file", "folder", "broken link"])
def test_nothing_is_overwritten(folder, monkeypatch, action, refused, taken):
    if taken == "file":
        write("to/a", b"mine")
    elif taken == "folder":
        os.mkdir("to/a")
    else:
        os.symlink("nowhere", "to/a")
    if refused:
        monkeypatch.setattr(os, "link", fail(refused))
    before = tree(".")
    with pytest.raises(FileExistsError):
        run(action)
    assert tree(".") == before


def test_a_full_disk_leaves_nothing_and_names_the_file(folder, monkeypatch):
    before = tree(".")
    monkeypatch.setattr(os, "fsync", fail(errno.ENOSPC))
    with pytest.raises(OSError, match=r"No space left on device: 'to/a'"):
        run("copy")
    assert tree(".") == before


def test_a_file_in_a_read_only_folder_is_not_moved(folder, monkeypatch):
    before, unlink = tree("."), os.unlink
    monkeypatch.setattr(os, "unlink", lambda path: fail(errno.EACCES)() if path == "from/a" else unlink(path))
    with pytest.raises(PermissionError):
        run("move")
    assert tree(".") == before


def test_a_copy_that_differs_replaces_nothing(folder, monkeypatch):
    before, link = tree("."), os.link
    monkeypatch.setattr(os, "link", lambda a, b: fail(errno.EXDEV)() if a == "from/a" else link(a, b))
    monkeypatch.setattr(shutil, "copyfile", lambda source, target: write(target, b"bytez"))
    with pytest.raises(OSError, match="the copy differs"):
        run("move")
    assert tree(".") == before


def test_only_a_duplicate_is_removed(folder):
    write("to/a", b"bytez")
    assert not moves.remove_duplicate("from/a", "to/a") and not moves.remove_duplicate("from/a", "to/none")
    assert not moves.remove_duplicate("to/none", "to/none2")
    write("to/b", b"bytes")
    os.link("from/a", "to/c")
    assert moves.remove_duplicate("to/b", "from/a") and moves.remove_duplicate("to/c", "from/a")
    assert sorted(os.listdir("to")) == ["a"] and os.listdir("from") == ["a"]


def test_two_paths_of_one_file_are_not_duplicates(folder, monkeypatch):
    os.symlink("from", "again")
    os.symlink("../from/a", "to/link")
    assert not moves.remove_duplicate("again/a", "from/a") and not moves.remove_duplicate("from/a", "to/link")
    os.link("from/a", "to/hard")
    assert not moves.remove_duplicate("again/a", "from/a")
    os.unlink("to/hard")
    monkeypatch.setattr(os.path, "realpath", lambda path: path)  # As a folder that is mounted twice.
    assert not moves.remove_duplicate("again/a", "from/a")
    assert os.path.isfile("from/a")


def test_a_copy_is_on_disk_before_it_has_its_name_and_before_the_source_is_removed(folder, monkeypatch):
    order, link = [], os.link

    def record(name):
        function = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *arguments: (order.append(name), function(*arguments))[1])

    monkeypatch.setattr(os, "link", lambda a, b: fail(errno.EXDEV)() if a == "from/a" else link(a, b))
    for name in ("fsync", "link", "unlink"):
        record(name)
    run("move")
    copied, renamed = ["link", "unlink", "fsync"], ["link", "unlink", "fsync"]  # After a link that is refused.
    assert order == [*copied, *renamed, "unlink", "unlink"]
