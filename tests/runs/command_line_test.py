"""What a user sees when a command goes wrong."""

import argparse
import os
import zipfile

import pytest

from blur_jax.runs import command_line


def run(command, *arguments):
    return command_line.run(argparse.ArgumentParser(prog="python -m blur_jax.score"), command, arguments)


def raising(error):
    def command(_):
        raise error

    return command


def test_the_commands_own_status_is_returned():
    assert run(lambda arguments: 1) == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no such run"), "no such run"),
        (OSError("no such run"), "no such run"),
        (ImportError("no such run"), "no such run"),
        (RuntimeError("no GPU\nframes"), "RuntimeError: no GPU"),
        (MemoryError(), "MemoryError: MemoryError()"),
        (zipfile.BadZipFile("cut"), "BadZipFile: cut"),
    ],
)
def test_an_error_that_a_user_can_cause_is_one_sentence(error, said, capsys):
    assert run(raising(error)) == 2
    assert capsys.readouterr().err == f"score: {said}\n"


def test_a_tilde_in_any_argument_is_the_home_folder(monkeypatch, capsys):
    def parsed(*arguments):
        parser = argparse.ArgumentParser()
        parser.add_argument("paths", nargs="*")
        parser.add_argument("--output")
        status = command_line.run(parser, given.append, arguments)
        return status or (given[-1].paths, given[-1].output)

    given = []
    monkeypatch.setenv("HOME", "/home/me")
    assert parsed("~/a.jpg", "b~", "--output=~/out.csv") == (["/home/me/a.jpg", "b~"], "/home/me/out.csv")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # A user without a home folder.
    assert parsed("~/a.jpg") == 2
    assert "set HOME" in capsys.readouterr().err


def test_debug_shows_where_it_came_from():
    with pytest.raises(ValueError, match="no such run"):
        run(raising(ValueError("no such run")), "--debug")


def test_an_error_of_the_program_keeps_its_traceback():
    with pytest.raises(KeyError):
        run(raising(KeyError("x")))


def test_a_reader_that_stops_early_is_no_error(capsys):
    assert run(raising(BrokenPipeError(32, "Broken pipe"))) == 141
    assert capsys.readouterr().err == ""


def test_interrupted_says_how_to_continue(capsys):
    assert run(raising(KeyboardInterrupt())) == 130
    assert "rerun the same command" in capsys.readouterr().err
