"""The rows of the scoring command as they come, so that the same command continues where it was interrupted."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from blur_jax.data import files
from blur_jax.data.preprocessing import Box
from blur_jax.data.untrusted import excerpt, read_json
from blur_jax.score.inputs import Input

_FORMAT = 1


class Row(NamedTuple):
    """What became of one input: `name` and `box` as of `inputs.Input`, `blur` and `error` as of `pipeline.Scored`."""

    name: str
    box: Box | None
    blur: float | None
    error: str | None


class Journal:
    """A hidden file beside the output: a header that says of what it is, then a JSON line for each input, in order.

    Rows are only ever appended; a kill loses what was not flushed, and at worst leaves half a line, which counts for
    nothing.
    """

    def __init__(self, output: str, header: Mapping[str, Any]) -> None:
        """Opens the journal of an output, or starts it.

        Args:
            output: the path of the table to be.
            header: all that the rows depend on, JSON-serializable.

        Raises:
            ValueError: it belongs to other rows, or another process is writing it.
            OSError: it cannot be written.
        """
        self.path = path_of(output)
        self._header = json.loads(json.dumps({"format": _FORMAT, **header}))
        self._file = open(self.path, "a+b")
        try:
            files.lock(self._file, f"{self.path}: another process is writing it; wait for it, or give another --output")
            self._file.seek(0)
            first = self._file.readline()
            if first.endswith(b"\n"):
                self._check(first)
            else:
                self._file.truncate(0)
                self._file.write(json.dumps(self._header).encode() + b"\n")
                self._file.flush()
        except BaseException:
            self._file.close()
            raise

    def _check(self, line: bytes) -> None:
        try:
            found = read_json(line)
            different = [key for key in self._header if found.get(key) != self._header[key]]
        except (ValueError, AttributeError) as error:
            raise ValueError(f"{self.path}: damaged; remove it to start again") from error
        if different:
            differences = "; ".join(
                f"{key}: {excerpt(found.get(key))} there, {excerpt(self._header[key])} here" for key in different
            )
            raise ValueError(
                f"{self.path} was left by an interrupted command with other options ({differences}). Run that command"
                " again to finish it, remove the file to give it up, or give another --output"
            )

    def resume(self, inputs: Iterable[Input], multiple: int) -> int:
        """Keeps the rows that are of the first `inputs`, and drops those behind.

        So pictures that were added or removed meanwhile cost the rows behind them.

        Args:
            inputs: all inputs.
            multiple: so many rows, or a multiple, are kept: the batches that follow are then those of a run that was
                never interrupted, and the scores the same to the bit.

        Returns:
            how many rows are kept.
        """
        self._file.seek(0)
        end = kept_end = len(self._file.readline())
        kept = 0
        for count, (line, found) in enumerate(zip(self._file, inputs), 1):
            row = _parse(line)
            if row is None or (row.name, row.box) != found:
                break
            end += len(line)
            if count % multiple == 0:
                kept, kept_end = count, end
        self._file.truncate(kept_end)
        self._file.seek(kept_end)
        return kept

    def append(self, rows: Iterable[Row]) -> None:
        """Adds rows, and hands them to the system: a kill loses none of them."""
        self._file.write(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        self._file.flush()

    def __iter__(self) -> Iterator[Row]:
        """Yields all rows."""
        with open(self.path, "rb") as file:
            file.readline()
            yield from map(_parse, file)

    def remove(self) -> None:
        """Removes the file: its rows are in the output."""
        os.unlink(self.path)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def path_of(output: str) -> str:
    """Returns where the journal of an output is."""
    folder, name = os.path.split(output)
    return os.path.join(folder, f".{name}.partial")


def _parse(line: bytes) -> Row | None:
    """Returns a row; None for half a line, or one that a failing disk has spoiled."""
    try:
        name, box, blur, error = read_json(line) if line.endswith(b"\n") else None
        row = Row(name, None if box is None else tuple(box), blur, error)
    except (ValueError, TypeError):
        return None
    scored = isinstance(blur, float) and error is None
    return row if isinstance(name, str) and (scored or (blur is None and isinstance(error, str))) else None
