"""Scoring into a table: continued where it was interrupted, and with a statement of what the table holds beside it."""

import dataclasses
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from blur_jax.data.preprocessing import Preprocessing
from blur_jax.data.untrusted import read_json
from blur_jax.runs import run_dir
from blur_jax.score import sheet, tables
from blur_jax.score.inputs import Input
from blur_jax.score.journal import Journal, Row, path_of


class Scorer(Protocol):
    """What a session needs of `scorer.Scorer`."""

    preprocessing: Preprocessing

    def score_each(self, pictures: Iterable, *, batch_size: int, threads: int | None) -> Iterator:
        """See `Scorer`."""

    def columns(self, blur: np.ndarray, *, anchor: float | None, keep_below: float | None) -> Mapping:
        """See `Scorer`."""


@dataclasses.dataclass(frozen=True)
class Job:
    """What to write, and what it depends on.

    Attributes:
        output: the table, in the format of its ending.
        source: what the scores depend on, {name: JSON value}; what an interrupted job with another source has done is
            not taken over.
        meaning: what else the statement says, {name: JSON value}.
        anchor: a score to compare with; None takes the median of the calibration's reference.
        keep_below: the threshold; None leaves out the column "keep".
        sheet: a page to write, see `sheet.write`; None writes none.
        batch_size: pictures that are scored, and written down, at a time.
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
        """Returns what tells the table of this job from that of another, as JSON gives it back."""
        depends = {"source": self.source, "anchor": self.anchor, "keep_below": self.keep_below}
        return json.loads(json.dumps(depends))


@dataclasses.dataclass(frozen=True)
class Summary:
    """What became of the inputs.

    Attributes:
        rows: the number of inputs.
        failed: how many of them have no score.
        with_boxes: whether any has a box.
        inputs: a hash of names and boxes, in order.
    """

    rows: int
    failed: int
    with_boxes: bool
    inputs: str


def statement_path(output: str) -> str:
    """Returns where the statement of a table is."""
    return f"{output}.json"


def finished(job: Job, inputs: Iterable[Input]) -> Summary | None:
    """Returns the summary of a job whose table is there already; None where there is something to do.

    Raises:
        ValueError: there is a table of another job or of other inputs, or one without the sheet that is asked for.
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
    count, found = _count_and_hash(inputs)
    if found != summary.inputs:
        raise ValueError(
            f"{job.output} is there already, with {summary.rows:,} rows, and there are {count:,} other inputs now;"
            " give --overwrite to score them all again, or another --output"
        )
    if job.sheet and not os.path.exists(job.sheet):
        raise ValueError(
            f"{job.output} is there already, and {job.sheet}, which is written with it, is not; give --overwrite"
            " to score again, or another --output"
        )
    return summary


def _count_and_hash(inputs: Iterable[Input | Row]) -> tuple[int, str]:
    """Returns the number of inputs and a hash of their names and boxes."""
    count, digest = 0, hashlib.sha256()
    for name, box, *_ in inputs:
        count += 1
        digest.update(json.dumps([name, box]).encode())
    return count, digest.hexdigest()[:16]


def run(scorer: Scorer, inputs: Iterable[Input], job: Job, *, progress: Callable[[int], None]) -> Summary:
    """Scores all inputs, or those that an interrupted run of the same job has left, and writes the outputs.

    Args:
        scorer: the scorer.
        inputs: what to score; gone through twice.
        job: what to write.
        progress: called with the number of inputs that are done: those that were done before, then after each batch.

    Raises:
        ValueError: the journal belongs to another job or is in use, or the inputs are not fit.
        OSError: something cannot be written.
    """
    with Journal(job.output, job.source) as journal:
        _score(scorer, inputs, job, journal, progress)
        summary = _summarize(journal)

        def columns(blur: np.ndarray) -> Mapping[str, np.ndarray]:
            return scorer.columns(blur, anchor=job.anchor, keep_below=job.keep_below)

        names = tables.column_names(columns, with_boxes=summary.with_boxes)
        statement = {"columns": {name: tables.MEANING[name] for name in names}, **job.meaning, **job.stated()}
        statement["summary"] = dataclasses.asdict(summary)
        tables.write(job.output, names, tables.records(journal, columns, with_boxes=summary.with_boxes), statement)
        if job.sheet:
            sheet.write(job.sheet, journal, scorer.preprocessing, keep_below=job.keep_below, title=job.output)
        run_dir.write_atomically(statement_path(job.output), json.dumps(statement, indent=2) + "\n")
        journal.remove()
    return summary


def _score(
    scorer: Scorer, inputs: Iterable[Input], job: Job, journal: Journal, progress: Callable[[int], None]
) -> None:
    done = journal.resume(inputs, job.batch_size)
    progress(done)
    waiting = itertools.islice(inputs, done, None)
    scored = scorer.score_each(waiting, batch_size=job.batch_size, threads=job.threads)
    while batch := list(itertools.islice(scored, job.batch_size)):
        journal.append(Row(*picture, *result) for picture, result in batch)
        done += len(batch)
        progress(done)


def _summarize(journal: Iterable[Row]) -> Summary:
    rows = failed = boxes = 0
    for row in journal:
        rows, failed, boxes = rows + 1, failed + (row.error is not None), boxes + (row.box is not None)
    return Summary(rows, failed, with_boxes=boxes > 0, inputs=_count_and_hash(journal)[1])
