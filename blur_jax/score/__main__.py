"""Scores pictures and writes a table: python -m blur_jax.score PATH... --output=scores.csv."""

import argparse
import contextlib
import os
import sys
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from blur_jax.runs import command_line

if TYPE_CHECKING:
    from blur_jax.score.inputs import Inputs
    from blur_jax.score.scorer import Scorer
    from blur_jax.score.session import Job

_DESCRIPTION = """\
Scores pictures: blur in [0, 1], larger is blurrier. PATH is a picture, a folder (searched recursively), a glob, a list
(.csv with a name column and, optionally, x,y,width,height; names are relative to the list's folder), or - for paths on
standard input. Every picture gets a row; if it cannot be scored, the row contains the reason. After an interruption,
run the same command again to resume. Exit status: 0 all scored, 1 some failed, 2 invalid usage. See docs/scoring.md."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m blur_jax.score", description=_DESCRIPTION)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="pictures to score")
    command_line.add_checkpoint(parser)
    parser.add_argument("--output", required=True, metavar="FILE", help="output table: .csv, .jsonl or .parquet")
    parser.add_argument("--sheet", metavar="FILE.html", help="also write a page of pictures sorted by score")
    parser.add_argument("--keep-below", type=_unit, metavar="T", help="keep pictures below T; default: RUN's threshold")
    parser.add_argument(
        "--anchor", type=_unit, metavar="B", help="blur to compare with; default: the reference's median"
    )
    parser.add_argument("--faces", action="store_true", help="find the faces in pictures without boxes; score each")
    parser.add_argument("--boxes", metavar="FILE.csv", help="with --faces, also write the boxes, for use as a list")
    parser.add_argument("--tiles", action="store_true", help="also score at full size: the best and worst tiles")
    parser.add_argument(
        "--best-of-group", action="store_true", help="group pictures that look alike, and mark the sharpest in each"
    )
    sorts = parser.add_mutually_exclusive_group()
    sorts.add_argument("--copy-to", metavar="DIR", help="copy the scored pictures into DIR/keep and DIR/discard")
    sorts.add_argument("--move-to", metavar="DIR", help="move them there; python -m blur_jax.score.undo DIR undoes it")
    parser.add_argument("--links", action="store_true", help="with --copy-to: create symbolic links instead of copies")
    parser.add_argument("--summary", action="store_true", help="also print quartiles and the blurriest pictures")
    parser.add_argument("--shard", type=_shard, default=(0, 1), metavar="I/N", help="score only part I of N, from 0")
    parser.add_argument("--batch-size", type=_positive, default=64, metavar="N", help="pictures scored at a time")
    parser.add_argument("--threads", type=_positive, metavar="N", help="decoding threads; default: one per core")
    parser.add_argument("--backend", choices=["xla", "onnx"], default="xla", help="network runtime; see docs/export.md")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing table")
    return command_line.run(parser, _score, argv)


def _unit(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"must be a score from 0 to 1, not {text!r}")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more, not {text!r}")
    return int(text)


def _shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise argparse.ArgumentTypeError(f"must be I/N with I from 0 to N - 1, such as 0/4, not {text!r}")
    return int(index), int(count)


def _score(arguments: argparse.Namespace) -> int:
    from blur_jax.data import face_boxes, files
    from blur_jax.runs import distributed, program_cache
    from blur_jax.score import found_boxes, inputs, overview, progress, session, sorting, tables
    from blur_jax.score.scorer import load_scorer

    files.check_output("--output", arguments.output, tables.ENDINGS, arguments.paths)
    if arguments.sheet:
        files.check_output("--sheet", arguments.sheet, (".html", ".htm"), arguments.paths)
    if arguments.boxes and not arguments.faces:
        raise ValueError("--boxes writes the boxes that --faces finds; add --faces, or omit --boxes")
    if arguments.boxes:
        found_boxes.check(arguments.boxes, arguments.output, overwrite=arguments.overwrite)
    if arguments.faces:
        face_boxes.check()
    if arguments.best_of_group and arguments.shard[1] > 1:
        raise ValueError("--best-of-group needs all pictures, but --shard selects a part of them; omit one of the two")
    pictures = inputs.Inputs(arguments.paths, shard=arguments.shard)
    sort = sorting.from_flags(arguments.copy_to, arguments.move_to, arguments.links, pictures)
    # The rows report bad pictures; Pillow's own warnings would break the progress bar.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    program_cache.keep_programs()
    distributed.divide_cpu()
    distributed.open_devices()
    scorer = load_scorer(arguments.checkpoint, backend=arguments.backend)
    job = _job(arguments, scorer, pictures)
    if sort and job.keep_below is None:
        raise ValueError(
            "--copy-to and --move-to need a threshold: pass --keep-below=T, or run python -m blur_jax.threshold"
        )
    begun = sort is not None and sort.begun(job.output, pictures, overwrite=arguments.overwrite)
    if not arguments.overwrite and (summary := session.finished(job, None if begun else pictures)):
        print(f"{job.output} is already complete: {summary}")
    else:
        start = time.monotonic()
        with contextlib.closing(progress.Progress(pictures)) as bar:
            summary = session.run(scorer, pictures, job, progress=bar)
        print(f"{job.output}: {summary}; {bar.fresh / (time.monotonic() - start):.1f} pictures/s")
    for line in [*summary.warnings(), *pictures.left_out.sentences()]:
        print(line)
    if arguments.summary:
        print(overview.describe(job.output))
    if sort:
        print(sort.run(job.output))
    return int(summary.without_score > 0)


def _job(arguments: argparse.Namespace, scorer: "Scorer", pictures: "Inputs") -> "Job":
    from blur_jax.score import session

    if arguments.anchor is not None and (scorer.calibration is None or scorer.calibration.scale is None):
        raise ValueError(f"--anchor: {scorer.path} had too few validation pairs to be calibrated; omit --anchor")
    threshold = scorer.threshold if arguments.keep_below is None else None
    source = {"checkpoint": scorer.fingerprint, "backend": arguments.backend, "folder": os.getcwd()}
    return session.Job(
        output=arguments.output,
        source=source | pictures.identity(),
        meaning={
            "checkpoint": {"path": scorer.path, "step": scorer.step, "fingerprint": scorer.fingerprint},
            "preprocessing": scorer.preprocessing.to_dict(),
            "calibration": scorer.calibration.to_dict() if scorer.calibration else None,
            "threshold": threshold.to_dict() if threshold else None,
        },
        anchor=arguments.anchor,
        keep_below=threshold.keep_below if threshold else arguments.keep_below,
        sheet=arguments.sheet,
        batch_size=arguments.batch_size,
        threads=arguments.threads,
        tiles=arguments.tiles,
        best_of_group=arguments.best_of_group,
        faces=arguments.faces,
        boxes=arguments.boxes,
    )


if __name__ == "__main__":
    sys.exit(main())
