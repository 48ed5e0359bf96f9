"""Sorts pictures in processes that are killed: python -m tests.helpers.killed_sorting SCENARIO, in an empty folder.

SIGKILL strikes right before a file is opened, linked, renamed or removed, so every kill is repeatable. JAX is not
imported, so that processes can be forked from this one within milliseconds.
"""

import errno
import os
import random
import signal
import sys

from blur_jax.score import sort_log, undo
from tests.helpers.sorted_pictures import sort, table, tree, write

EVENTS = ("open", "os.link", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.utime")
ACROSS = "across"  # A move between file systems.


def make(count):
    """Makes pictures, of which every second is in a folder of its own, and their table; returns the tree."""
    rows = []
    for index in range(count):
        name = f"photos/{index}/a.jpg" if index % 2 else f"photos/{index}.jpg"
        write(name, b"%d" % index, 10**18 + index)
        rows.append((name, ("keep", "discard")[index % 4 > 0]))
    table("scores.csv", rows)
    return tree(".")


def killed(function, event):
    """Runs a function in a process that is killed before its n-th event; returns whether it was killed."""
    process = os.fork()
    if process == 0:
        left = [event]

        def count(name, _):
            if name in EVENTS:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            function()
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert code in (0, -signal.SIGKILL), code
    return code != 0


def separate(link=os.link):
    """Makes out/ a file system of its own, as far as links tell."""

    def within(source, target):
        if len({"out" in os.path.abspath(path).split(os.sep) for path in (source, target)}) > 1:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        link(source, target)

    os.link = within


def check_sorted(action, before):
    """Every picture is where it belongs, once, and nothing else is there."""
    found, pictures = tree("out"), {name: file for name, file in before.items() if name.endswith(".jpg")}
    expected = set()
    for name, file in pictures.items():
        place = os.path.join(("keep", "discard")[int(file[0]) % 4 > 0], os.path.relpath(name, "photos"))
        assert found[place] == (os.path.abspath(name) if action == sort_log.LINK else file), place
        expected.add(place)
    assert {name for name, file in found.items() if file is not None} == expected | {sort_log.NAME}
    left = {name for name in tree(".") if name.startswith("photos/") and name.endswith(".jpg")}
    assert left == (set() if action == sort_log.MOVE else set(pictures)), left


def put_back():
    assert undo.main(["out"]) == 0


def everywhere(kind):
    """Kills a sort, and its undoing, before each of its events in turn."""
    if kind == ACROSS:
        separate()
    action = sort_log.MOVE if kind == ACROSS else kind
    before, event, more = make(2), 0, True
    while more:
        event += 1
        more = killed(lambda: sort("out", action), event)
        sort("out", action)
        check_sorted(action, before)
        more |= killed(put_back, event)
        put_back()
        assert tree(".") == before, event
        killed(lambda: sort("out", action), event)
        put_back()
        assert tree(".") == before, event
    return event - 1


def at_random():
    """Kills a move of 200 pictures 20 times, and its undoing 20 times."""
    before, moments, kills = make(200), random.Random(0), []
    for function in (lambda: sort("out"), put_back):
        kills.append(sum(killed(function, moments.randint(20, 70)) for _ in range(20)))
        function()
        if len(kills) == 1:
            check_sorted(sort_log.MOVE, before)
    assert tree(".") == before
    return kills


if __name__ == "__main__":
    os.fsync = lambda _: None  # It matters to power failures, not to kills.
    print(at_random() if sys.argv[1] == "random" else everywhere(sys.argv[1]))
    assert not {"jax", "tests.helpers.scored"} & set(sys.modules)
