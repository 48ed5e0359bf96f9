"""Scoring into a table: continues where it was interrupted, and writes beside the table what it holds."""

import array
import dataclasses
import functools
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from blur_jax.data.untrusted import read_json
from blur_jax.runs import run_dir
from blur_jax.score import sheet, tables
from blur_jax.score.inputs import Input
from blur_jax.score.journal import Journal, Row, path_of
from blur_jax.score.scorer import Scorer


@dataclasses.dataclass(frozen=True)
class Job:
    """What to write, and what it depends on.

    Attributes:
        output: the table, in the format of its ending.
        source: what the scores depend on, {name: JSON value}; a job continues only what was interrupted with the same.
        meaning: what else the statement says, {name: JSON value}.
        anchor: a score to compare with; None takes the median of the calibration's reference.
        keep_below: the threshold; None leaves out the column "keep".
        sheet: a page to write, see `sheet.write`; None writes none.
        batch_size: pictures that are scored, and journaled, at a time.
        threads: how many decode; None takes one for each core.
    """

    output: str
    source: Mapping[str, Any]
    meaning: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    anchor: float | None = None
    keep_below: float | None = None
    sheet: str | None = None
    batch_size: int = 64
    threads: int | None = None

    def stated(self) -> dict[str, Any]:
        """Returns what distinguishes the table of this job from that of another, as JSON gives it back."""
        depends = {"source": self.source, "anchor": self.anchor, "keep_below": self.keep_below}
        return json.loads(json.dumps(depends))


@dataclasses.dataclass(frozen=True)
class Summary:
    """The counts of a table.

    Attributes:
        rows: the number of inputs.
        failed: how many of these have no score.
        with_boxes: whether any has a box.
        inputs: a hash of names and boxes, in order.
    """

    rows: int
    failed: int
    with_boxes: bool
    inputs: str

    def __str__(self) -> str:
        reasons = "; the column reason says why" if self.failed else ""
        return f"{self.rows - self.failed:,} scored, {self.failed:,} failed{reasons}"


def statement_path(output: str) -> str:
    """Returns the path of the statement of a table."""
    return f"{output}.json"


def finished(job: Job, inputs: Iterable[Input]) -> Summary | None:
    """Returns the summary of a job whose table is complete; None where there is something to do.

    Raises:
        ValueError: there is a table of another job or of other inputs, or one without the sheet of this job.
    """
    if not os.path.lexists(job.output) or os.path.exists(path_of(job.output)):
        return None
    try:
        with open(statement_path(job.output), encoding="utf-8") as file:
            stated = read_json(file.read())
        different = [key for key, value in job.stated().items() if stated[key] != value]
        summary = Summary(**stated["summary"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{job.output} is there already, and {statement_path(job.output)} does not say what it holds; give"
            " --overwrite to replace it, or another --output"
        ) from error
    if different:
        raise ValueError(
            f"{job.output} is there already, with another {', '.join(different)} (see {statement_path(job.output)});"
            " give --overwrite to replace it, or another --output"
        )
    tally = _Tally()
    tally.add(Row(*picture, None, None) for picture in inputs)
    now = tally.summary()
    if now.inputs != summary.inputs:
        raise ValueError(
            f"{job.output} is there already, with {summary.rows:,} rows, and there are {now.rows:,} other inputs now;"
            " give --overwrite to score them all again, or another --output"
        )
    if job.sheet and not os.path.exists(job.sheet):
        raise ValueError(
            f"{job.output} is there already, and {job.sheet}, which is written with it, is not; give --overwrite"
            " to score again, or another --output"
        )
    return summary


class _Tally:
    """What the outputs need to know of all rows before they are written, gathered while the rows pass by.

    Attributes:
        blur: four bytes for each row; NaN where there is no score.
    """

    def __init__(self) -> None:
        self.blur = array.array("f")
        self._failed, self._with_boxes, self._inputs = 0, False, hashlib.sha256()

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self.blur.append(np.nan if row.blur is None else row.blur)
            self._failed += row.error is not None
            self._with_boxes |= row.box is not None
            self._inputs.update(json.dumps([row.name, row.box]).encode())

    def summary(self) -> Summary:
        return Summary(len(self.blur), self._failed, self._with_boxes, self._inputs.hexdigest()[:16])


def run(scorer: Scorer, inputs: Iterable[Input], job: Job, *, progress: Callable[[int], None]) -> Summary:
    """Scores all inputs, or those that an interrupted run of the same job has left, and writes the outputs.

    Args:
        scorer: the scorer.
        inputs: what to score.
        job: what to write.
        progress: called with the number of inputs that are done: once before the first batch, and after each batch.

    Raises:
        ValueError: the journal belongs to another job or is in use, or there is something wrong with the inputs.
        OSError: something cannot be written.
    """
    with Journal(job.output, job.source) as journal:
        tally = _Tally()
        waiting = journal.resume(inputs, job.batch_size, tally.add)
        progress(len(tally.blur))
        scored = scorer.score_each(waiting, batch_size=job.batch_size, threads=job.threads)
        while rows := [Row(*picture, *result) for picture, result in itertools.islice(scored, job.batch_size)]:
            journal.append(rows)
            tally.add(rows)
            progress(len(tally.blur))
        _write(scorer, job, journal, tally)
        journal.remove()
    return tally.summary()


def _write(scorer: Scorer, job: Job, rows: Iterable[Row], tally: _Tally) -> None:
    """Writes the outputs from a single reading of the rows; the statement last, which makes them complete."""
    columns = functools.partial(scorer.columns, anchor=job.anchor, keep_below=job.keep_below)
    summary, picks = tally.summary(), sheet.Picks(np.array(tally.blur))
    names = tables.column_names(columns, with_boxes=summary.with_boxes)
    statement = {"columns": {name: tables.MEANING[name] for name in names}, **job.meaning, **job.stated()}
    statement["summary"] = dataclasses.asdict(summary)
    records = tables.records(picks.watch(rows), columns, with_boxes=summary.with_boxes)
    tables.write(job.output, names, records, statement)
    if job.sheet:
        sheet.write(job.sheet, picks, scorer.preprocessing, keep_below=job.keep_below, title=job.output)
    run_dir.write_atomically(statement_path(job.output), json.dumps(statement, indent=2) + "\n")
