"""A fuzz target, and what the targets share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

_LONGEST_MESSAGE = 2000


class Target(NamedTuple):
    """A parser.

    Attributes:
        parse: takes bytes; raises ValueError for input that it refuses.
        seeds: inputs that it accepts.
        is_json: whether inputs are JSON, so that values rather than bytes should change.
    """

    parse: Callable[[bytes], None]
    seeds: Sequence[bytes]
    is_json: bool = False


def outcome(target: Target, data: bytes) -> str:
    """Returns "data", or "error" for a ValueError.

    Raises:
        Exception: the parser raised something else, or its message shows too much of the input.
    """
    try:
        target.parse(data)
    except ValueError as error:
        if len(str(error)) > _LONGEST_MESSAGE:
            raise AssertionError(f"a message of {len(str(error))} characters") from error
        return "error"
    return "data"


def of_files(root: Path, good: dict[str, bytes]) -> tuple[Callable[[bytes], None], list[bytes]]:
    """Returns a function that writes an input into a folder, and seeds; the first byte selects the file to replace."""
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
    """Returns a function that writes bytes to a file, which `read` then reads."""

    def parse(data: bytes) -> None:
        path.write_bytes(data)
        read(path)

    return parse
