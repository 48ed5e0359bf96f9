"""Whether a file has changed."""

import os

from blur_jax.data import contents


def test_another_file_of_the_same_size_and_time_is_a_change(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(b"a" * 1000)
    before, times = contents.state(path), (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    assert contents.is_unchanged(path, before)
    path.write_bytes(b"a" * 999 + b"b")
    os.utime(path, ns=times)  # As `cp -p` and `rsync -t` leave it.
    assert not contents.is_unchanged(path, before)
    path.write_bytes(b"a" * 1000)
    assert contents.is_unchanged(path, before)


def test_new_times_and_a_copy_are_no_change(tmp_path):
    path, copy = tmp_path / "a.bmp", tmp_path / "copy.bmp"
    path.write_bytes(b"abc")
    copy.write_bytes(b"abc")
    before = contents.state(path)
    os.utime(path, (1, 1))
    assert contents.record(path) != before.record and contents.is_unchanged(path, before)
    os.replace(copy, path)
    assert contents.is_unchanged(path, before)


def test_what_is_no_file_has_no_content_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    names = [tmp_path, tmp_path / "pipe.jpg", tmp_path / "gone.jpg", "a\0b"]
    assert list(contents.contents(names)) == [None] * 4
    missing = contents.state(tmp_path / "gone.jpg")
    assert contents.is_unchanged(tmp_path / "gone.jpg", missing)
    (tmp_path / "gone.jpg").write_bytes(b"")
    assert not contents.is_unchanged(tmp_path / "gone.jpg", missing)
