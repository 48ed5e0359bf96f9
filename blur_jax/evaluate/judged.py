"""Measures how well scorers agree with judges who compared pairs of pictures.

    python -m blur_jax.evaluate.judged --judged=judged.csv --scores=ours=scores.csv --scores=other=other.csv

The first table has the columns split,left,right and, for each judge, NAME and NAME_sure (docs/data.md). A table of
scores has the columns name and blur, like the scores.csv of an evaluation and the output of blur_jax.score; larger is
blurrier. Several tables of the same scorer have the same name.
"""

import argparse
import sys
from collections.abc import Sequence

from blur_jax.runs import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    name, lines = "python -m blur_jax.evaluate.judged", argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(name, description=__doc__, formatter_class=lines)
    parser.add_argument("--judged", required=True, metavar="CSV", help="the pairs and the judges' answers")
    scores = "a scorer and its table; repeatable; differences are from the first scorer"
    parser.add_argument("--scores", required=True, action="append", metavar="NAME=TABLE", help=scores)
    group = "splits to measure together, such as near=test1,test2; repeatable"
    parser.add_argument("--group", action="append", default=[], metavar="GROUP=SPLITS", help=group)
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="resamples of the pairs [1000]")
    parser.add_argument("--output", metavar="JSON", help="write the results here")
    return command_line.run(parser, _run, argv)


def _run(arguments: argparse.Namespace) -> int:
    import json

    from blur_jax.data import files, judged_table
    from blur_jax.evaluate import judged_agreement
    from blur_jax.runs import run_dir

    if arguments.output:
        tables = [text.partition("=")[2] for text in arguments.scores]
        files.check_output("--output", arguments.output, (".json",), [arguments.judged, *tables])
    table = judged_table.read(arguments.judged)
    groups = judged_agreement.parse_groups(arguments.group, table)
    scorers = judged_agreement.read_scores(arguments.scores)
    first = next(iter(scorers))
    measured = judged_agreement.measure(table, scorers, groups, first=first, resamples=arguments.resamples)
    print("\n".join(judged_agreement.lines(measured, first)))
    if arguments.output:
        results = {"judged": arguments.judged, "scores": arguments.scores, "parts": measured}
        run_dir.write_atomically(arguments.output, json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
