"""A fuzz target, and helpers for all targets."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

_LONGEST_MESSAGE = 2000


class Target(NamedTuple):
    """A parser that raises ValueError for bad input, good inputs as seeds, and whether to mutate them as JSON."""

    parse: Callable[[bytes], object]
    seeds: Sequence[bytes]
    is_json: bool = False


def outcome(target: Target, data: bytes) -> str:
    """Returns "data", or "error" for a ValueError; raises any other error, and AssertionError for a long message."""
    try:
        target.parse(data)
    except ValueError as error:
        if len(str(error)) > _LONGEST_MESSAGE:
            raise AssertionError(f"the error message has {len(str(error))} characters; shorten it") from error
        return "error"
    return "data"


def of_files(root: Path, good: dict[str, bytes]) -> tuple[Callable[[bytes], None], list[bytes]]:
    """Returns a function that writes an input to one of the files, selected by its first byte, and the seeds."""
    names = sorted(good)
    for name, content in good.items():
        (root / name).write_bytes(content)
    last = [names[0]]

    def put(data: bytes) -> None:
        name = names[data[0] % len(names)] if data else names[0]
        (root / last[0]).write_bytes(good[last[0]])
        (root / name).write_bytes(data[1:])
        last[0] = name

    return put, [bytes([index]) + good[name] for index, name in enumerate(names)]


def of_file(path: Path, read: Callable[[Path], object]) -> Callable[[bytes], None]:
    """Returns a function that writes bytes to a file and reads it with `read`."""

    def parse(data: bytes) -> None:
        path.write_bytes(data)
        read(path)

    return parse
