"""Scores pictures, writes a table, resumes after an interruption, and describes the table in a file next to it."""

import dataclasses
import functools
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from blur_jax.data import contents
from blur_jax.data.contents import State
from blur_jax.data.left_out import LeftOut
from blur_jax.data.preprocessing import Box
from blur_jax.data.untrusted import read_json
from blur_jax.runs import run_dir
from blur_jax.score import found_boxes, groups, sheet, tables
from blur_jax.score.inputs import Input, Inputs
from blur_jax.score.journal import Found, Journal, Row, Rows, path_of
from blur_jax.score.pipeline import Scored
from blur_jax.score.scorer import Scorer
from blur_jax.score.tally import REDUCED, Summary, Tally

_REPLACE = "pass --overwrite to score again and replace it, or use a different --output"


@dataclasses.dataclass(frozen=True)
class Job:
    """A command's outputs, and the options that they depend on; see `Scorer.score_each` and `Scorer.columns`."""

    output: str  # The path of the table.
    source: Mapping[str, Any]  # JSON values that scores depend on; they must match to resume a job.
    meaning: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # Other JSON values for the statement.
    anchor: float | None = None
    keep_below: float | None = None  # None leaves out the column "keep".
    sheet: str | None = None  # The path of the page that `sheet.write` writes.
    batch_size: int = 64
    threads: int | None = None
    tiles: bool = False
    best_of_group: bool = False
    faces: bool = False  # Whether to find the faces in pictures without boxes.
    boxes: str | None = None  # The path of the table that `found_boxes.write` writes.

    @property
    def header(self) -> dict[str, Any]:
        """The options that the journal's rows depend on."""
        options = {"tiles": self.tiles, "best_of_group": self.best_of_group, "faces": self.faces}
        return {**self.source, **options}

    def stated(self) -> dict[str, Any]:
        """Returns all options that the table depends on, after a round trip through JSON."""
        return json.loads(json.dumps({"source": self.header, "anchor": self.anchor, "keep_below": self.keep_below}))


def statement_path(output: str) -> str:
    return f"{output}.json"


def finished(job: Job, inputs: Iterable[Input] | None) -> Summary | None:
    """Returns the summary of a complete table, or None if the table is missing or incomplete.

    If `inputs` is None, the pictures have been sorted and are not compared with the table.

    Raises ValueError if the table belongs to a different job or different inputs, a picture's content has changed, or
    the sheet is missing.
    """
    if not os.path.lexists(job.output) or os.path.exists(path_of(job.output)):
        return None
    statement = statement_path(job.output)
    try:
        with open(statement, encoding="utf-8") as file:
            stated = read_json(file.read())
        different = [key for key, value in job.stated().items() if stated[key] != value]
        summary = Summary(**stated["summary"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{job.output} exists, but {statement} is missing or damaged; {_REPLACE}") from error
    if different:
        raise ValueError(
            f"{job.output} already exists, but was made with different options: {', '.join(different)}"
            f" (see {statement}); {_REPLACE}"
        )
    if inputs is not None:
        _check_inputs(job, inputs, summary)
    if job.sheet and not os.path.exists(job.sheet):
        raise ValueError(f"{job.output} exists, but its sheet {job.sheet} is missing; {_REPLACE}")
    if job.boxes and not os.path.exists(job.boxes):
        raise ValueError(f"{job.output} exists, but its boxes {job.boxes} are missing; {_REPLACE}")
    return summary


def _check_inputs(job: Job, inputs: Iterable[Input], summary: Summary) -> None:
    """Raises ValueError if the inputs differ from those of the table."""
    tally = Tally()
    tally.add([Row(*picture, None, None, file=State(contents.record(picture.name), None))] for picture in inputs)
    now = tally.summary()
    if now.inputs != summary.inputs:
        counts = f"{summary.pictures:,} different inputs (this command has {now.pictures:,})"
        raise ValueError(f"{job.output} was made from {counts}; {_REPLACE}")
    if now.records != summary.records and _contents(inputs) != summary.contents:
        raise ValueError(f"{job.output}: pictures have changed since they were scored; {_REPLACE}")


def _contents(inputs: Iterable[Input]) -> str:
    """Returns `Summary.contents` for the current picture files."""
    tally = Tally()
    for content in contents.contents(picture.name for picture in inputs):
        tally.add_file(State(None, content))
    return tally.summary().contents


def run(scorer: Scorer, inputs: Inputs, job: Job, *, progress: Callable[[int], None]) -> Summary:
    """Scores all inputs, or those that an interrupted run of the same job did not reach, and writes the outputs.

    `progress` is called with the number of finished inputs, before the first batch and after each batch. Raises
    ValueError if the journal belongs to a different job or is in use.
    """
    with Journal(job.output, job.header) as journal:
        tally = Tally(job.keep_below)
        waiting = journal.resume(inputs, job.batch_size, tally.add)
        progress(tally.inputs)
        scored = _score_files(scorer, waiting, job)
        while batch := list(itertools.islice(scored, job.batch_size)):
            journal.append(itertools.chain.from_iterable(batch))
            tally.add(batch)
            progress(tally.inputs)
        summary = _write(scorer, job, journal, tally, inputs.left_out)
        journal.remove()
    return summary


def _score_files(scorer: Scorer, inputs: Iterable[Input], job: Job) -> Iterator[Rows]:
    """Yields the rows of each input, with the state of its file."""
    states: dict[Any, State] = {}

    def watch(name: Any, box: Box | None) -> None:
        states[name, box] = contents.state(name)

    options: dict[str, Any] = {"batch_size": job.batch_size, "threads": job.threads, "watch": watch}
    options |= {"looks": job.best_of_group, "tiles": job.tiles}
    if job.faces:
        scored = scorer.score_faces(inputs, **options)
    else:
        scored = ((picture, [result]) for picture, result in scorer.score_each(inputs, **options))
    for picture, results in scored:
        state = states.pop(picture)
        yield [_row(picture, result, state, faces=len(results)) for result in results]


def _row(picture: Input, result: Scored, state: State, *, faces: int) -> Row:
    box, found = picture.box, None
    if result.face is not None:
        box, found = result.face.box, Found(result.face.score, faces)
    return Row(picture.name, box, *result[:-1], state, found)


def _write(scorer: Scorer, job: Job, rows: Iterable[Row], tally: Tally, left_out: LeftOut) -> Summary:
    """Writes the outputs in one pass over the rows; the statement, which marks them complete, is written last."""
    columns = functools.partial(scorer.columns, anchor=job.anchor, keep_below=job.keep_below)
    summary, picks = tally.summary(), sheet.Picks(np.array(tally.blur))
    grouped = groups.find(tally.looks, tally.best) if job.best_of_group else None
    kinds = {"with_boxes": summary.with_boxes or job.faces, "with_faces": job.faces, "with_tiles": job.tiles}
    names = tables.column_names(columns, **kinds, with_groups=job.best_of_group)
    statement = {"columns": {name: tables.MEANING[name] for name in names}, **job.meaning, **job.stated()}
    statement |= {"summary": dataclasses.asdict(summary), "left_out": left_out.to_dict()}
    records = tables.records(picks.watch(rows), columns, **kinds, groups=grouped)
    tables.write(job.output, names, records, statement)
    if job.sheet:
        sheet.write(
            job.sheet,
            picks,
            scorer.preprocessing,
            keep_below=job.keep_below,
            title=job.output,
            reduced=REDUCED,
            groups=grouped,
        )
    if job.boxes:
        found_boxes.write(job.boxes, rows)
    run_dir.write_atomically(statement_path(job.output), json.dumps(statement, indent=2) + "\n")
    return summary
