"""A record of finished rows that allows an interrupted scoring command to resume."""

import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from blur_jax.data import contents, files, likeness
from blur_jax.data.contents import State
from blur_jax.data.preprocessing import Box
from blur_jax.data.untrusted import excerpt, read_json
from blur_jax.score.inputs import Input
from blur_jax.score.tiles import Tiles

_FORMAT = 4


class Found(NamedTuple):
    """The detector's score of a face, and how many faces were found in its picture."""

    score: float
    faces: int


class Row(NamedTuple):
    """The result for one input, or for one of the faces found in it.

    `name` and `box` are as in `inputs.Input`, or `box` is the face's; the other fields are as in `pipeline.Scored`.
    """

    name: str
    box: Box | None
    blur: float | None
    error: str | None
    reduction: float | None = None
    flags: str | None = None
    look: str | None = None
    tiles: Tiles | None = None
    file: State = State(None, None)  # The picture's file when it was scored.
    found: Found | None = None  # None unless the box was found in the picture.

    @property
    def input(self) -> Input:
        return Input(self.name, None if self.found else self.box)


Rows = list[Row]  # Of one input.


class Journal:
    """A hidden file next to the output: a header that describes the job, then a JSON line for each row, in order.

    Rows are only appended. A killed command may leave an incomplete line, which is ignored.
    """

    def __init__(self, output: str, header: Mapping[str, Any]) -> None:
        """Opens or creates a table's journal; `header` contains everything that the rows depend on, as JSON values.

        Raises ValueError if the journal belongs to a different job, or another process is writing to it.
        """
        self.path = path_of(output)
        self._header = json.loads(json.dumps({"format": _FORMAT, **header}))
        self._file = open(self.path, "a+b")
        try:
            files.lock(self._file, f"{self.path}: in use by another process; wait for it, or use a different --output")
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
            header = read_json(line)
            different = [key for key in self._header if header.get(key) != self._header[key]]
        except (ValueError, AttributeError) as error:
            raise ValueError(f"{self.path}: the first line is damaged; delete the file to start over") from error
        if different:
            differences = "; ".join(
                f"{key}: {excerpt(header.get(key))} there but {excerpt(self._header[key])} here" for key in different
            )
            raise ValueError(
                f"{self.path} was left by an interrupted command with different options ({differences}). Run that"
                " command again to finish it, delete the file to discard its rows, or use a different --output"
            )

    def resume(self, inputs: Iterable[Input], batch_size: int, keep: Callable[[list[Rows]], None]) -> Iterator[Input]:
        """Keeps the rows that match the first `inputs`, drops the others, and returns the remaining inputs.

        Rows match if their input is the same and the content of its picture has not changed. Only full batches of
        inputs are kept, so that the remaining scores are bit-identical to those of an uninterrupted command. `keep` is
        called with the rows of each input in each kept batch.
        """
        inputs = iter(inputs)
        self._file.seek(0)
        end = len(self._file.readline())
        with ThreadPoolExecutor() as pool:
            while (batch := list(itertools.islice(inputs, batch_size))) and len(batch) == batch_size:
                try:
                    rows = [self._read_rows(picture) for picture in batch]
                except ValueError:
                    break
                if not all(pool.map(contents.is_unchanged, *zip(*((row.name, row.file) for row, *_ in rows)))):
                    break
                keep(rows)
                end = self._file.tell()
        self._file.truncate(end)
        self._file.seek(end)
        return itertools.chain(batch, inputs)

    def _read_rows(self, picture: Input) -> Rows:
        """Reads the rows of an input; raises ValueError if the next rows are damaged, or those of another input."""
        rows = [_parse(self._file.readline())]
        while rows[0].found and len(rows) < rows[0].found.faces:
            rows.append(_parse(self._file.readline()))
        if any(row.input != picture for row in rows):
            raise ValueError("the rows are those of another input")
        return rows

    def append(self, rows: Iterable[Row]) -> None:
        """Adds rows and flushes them, so that none are lost if the process is killed."""
        self._file.write(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        self._file.flush()

    def __iter__(self) -> Iterator[Row]:
        with open(self.path, "rb") as file:
            file.readline()
            yield from map(_parse, file)

    def remove(self) -> None:
        os.unlink(self.path)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def path_of(output: str) -> str:
    folder, name = os.path.split(output)
    return os.path.join(folder, f".{name}.partial")


def _parse(line: bytes) -> Row:
    """Returns a row; raises ValueError for an incomplete or damaged line."""
    match read_json(line) if line.endswith(b"\n") else None:
        case [str(name), None | [*_] as box, None, str(error), None, None, None, None, file, None]:
            return Row(name, box and tuple(box), None, error, file=_state(file))
        case [str(name), None | [*_] as box, float(blur), None, *described, file, found]:
            return Row(name, box and tuple(box), blur, None, *_described(*described), _state(file), _found(found))
    raise ValueError("the row is damaged")


def _found(fields: Any) -> Found | None:
    match fields:
        case None:
            return None
        case [float(score), int(faces)] if faces > 0:
            return Found(score, faces)
    raise ValueError("the row is damaged")


def _state(fields: Any) -> State:
    match fields:
        case [None | str() as record, None | str() as content]:
            return State(record, content)
    raise ValueError("the row is damaged")


def _described(*fields: Any) -> tuple:
    """Checks and returns the fields between `error` and `file` in a row; raises ValueError for a damaged row."""
    match fields:
        case [None | float() as reduction, None | str() as flags, None | str() as look, tiles]:
            if len(bytes.fromhex(look or "")) in (0, likeness.SIDE**2 // 8):
                match tiles:
                    case None:
                        return reduction, flags, look, None
                    case [float(best), float(worst), [[*_], *_] as focus] if np.array(focus, float).ndim == 2:
                        return reduction, flags, look, Tiles(best, worst, focus)
    raise ValueError("the row is damaged")
