"""What a user sees when a command goes wrong."""

import argparse

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


@pytest.mark.parametrize("error", [ValueError("no such run"), OSError("no such run"), ImportError("no such run")])
def test_an_error_that_a_user_can_cause_is_one_sentence(error, capsys):
    assert run(raising(error)) == 2
    assert capsys.readouterr().err == "score: no such run\n"


def test_debug_shows_where_it_came_from():
    with pytest.raises(ValueError, match="no such run"):
        run(raising(ValueError("no such run")), "--debug")


def test_an_error_of_the_program_keeps_its_traceback():
    with pytest.raises(KeyError):
        run(raising(KeyError("x")))


def test_interrupted_says_how_to_continue(capsys):
    assert run(raising(KeyboardInterrupt())) == 130
    assert "rerun the same command" in capsys.readouterr().err
