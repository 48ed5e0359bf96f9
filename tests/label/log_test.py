"""The answer log on disk: what is acknowledged stays, and what is torn goes."""

import os

import pytest

from blur_jax.label.log import LOG_FILE, Log
from tests.helpers.labels import answer, undo


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path)


def opened(folder):
    return Log(os.path.join(folder, LOG_FILE))


def reopened(folder):
    log = opened(folder)
    log.close()
    return log


def written(folder, *entries):
    log = opened(folder)
    assert [log.append(entry) for entry in entries] == [True] * len(entries)
    log.close()
    return content(folder)


def content(folder):
    with open(os.path.join(folder, LOG_FILE), "rb") as file:
        return file.read()


def put(folder, data):
    with open(os.path.join(folder, LOG_FILE), "wb") as file:
        file.write(data)


def test_entries_are_read_again(folder):
    written(folder, answer(1), answer(2, left="ü\u2028\n.png", right="\udcff.png"), undo(1), answer(3))
    log = reopened(folder)
    assert list(log.state.answers.values()) == [answer(2, left="ü\u2028\n.png", right="\udcff.png"), answer(3)]
    assert log.removed == 0


def test_an_entry_is_on_disk_when_it_is_acknowledged(folder, monkeypatch):
    log, synced = opened(folder), []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    assert log.append(answer(1))
    log.close()
    assert synced == [os.path.getsize(log.path)]


def test_an_entry_that_comes_twice_is_written_once(folder):
    data = written(folder, answer(1))
    log = opened(folder)
    assert not log.append(answer(1))
    assert log.append(undo(1)) and not log.append(undo(1)) and not log.append(answer(1))
    with pytest.raises(ValueError, match="no answer"):
        log.append(undo(2))
    log.close()
    assert content(folder).startswith(data) and content(folder).count(b"\n") == 2


def test_a_last_line_torn_anywhere_is_removed(folder):
    one, both = (written(folder, answer(number)) for number in (1, 2))
    for end in range(len(one) + 1, len(both) - 1):
        put(folder, both[:end])
        log = reopened(folder)
        assert list(log.state.answers) == [answer(1).id] and log.removed == end - len(one)
        assert content(folder) == one


def test_a_missing_last_newline_loses_nothing(folder):
    both = [written(folder, answer(number)) for number in (1, 2)][-1]
    put(folder, both[:-1])
    log = opened(folder)
    log.append(answer(3))
    log.close()
    assert len(reopened(folder).state.answers) == 3


def test_a_damaged_line_stops_with_its_number(folder):
    one = written(folder, answer(1))
    put(folder, one + b'{"entry": "answ\n' + one)
    with pytest.raises(ValueError, match=rf"{LOG_FILE}:2: the line is damaged .*restore the file from a backup"):
        opened(folder)
    assert content(folder).count(b"\n") == 3


def test_a_folder_has_one_writer(folder):
    log = opened(folder)
    with pytest.raises(ValueError, match="another labeling page is open"):
        opened(folder)
    log.close()
    reopened(folder)


@pytest.mark.parametrize("failing", ["write", "fsync"])
def test_a_full_disk_leaves_the_log_as_it_was_and_locked(folder, monkeypatch, failing):
    """The answer is not acknowledged; the next one is stored whole."""
    written(folder, answer(1))
    log = opened(folder)
    with monkeypatch.context() as patch:
        if failing == "fsync":
            patch.setattr(os, "fsync", _full)
        else:
            patch.setattr(log, "_file", _FullDisk(log._file))
        with pytest.raises(OSError) as error:
            log.append(answer(2))
        assert error.value.filename == log.path
        reopened_file = log._file
    log._file = reopened_file
    assert list(log.state.answers) == [answer(1).id]
    with pytest.raises(ValueError, match="another"):
        opened(folder)
    assert log.append(answer(2)) and log.append(answer(3))
    log.close()
    assert list(reopened(folder).state.answers) == [answer(number).id for number in (1, 2, 3)]


def _full(*_):
    raise OSError(28, "No space left on device")


class _FullDisk:
    """A file of which half of each line is written before the disk is full."""

    def __init__(self, file):
        self._file = file

    def write(self, data):
        self._file.write(data[: len(data) // 2])
        self._file.flush()
        _full()

    def __getattr__(self, name):
        return getattr(self._file, name)
