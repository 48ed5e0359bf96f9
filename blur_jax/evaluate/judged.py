"""Measures how well scorers agree with judges who have compared pairs of pictures.

    python -m blur_jax.evaluate.judged --judged=judged.csv --scores=ours=scores.csv --scores=other=other.csv

The --judged table has the columns split,left,right and, for each judge, NAME and NAME_sure (docs/data.md). A score
table has the columns name and blur (larger is blurrier), like an evaluation's scores.csv and the output of
blur_jax.score. If a scorer's scores are in several tables, repeat --scores with the same name.
"""

import argparse
import sys
from collections.abc import Sequence

from blur_jax.runs import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    name, lines = "python -m blur_jax.evaluate.judged", argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(name, description=__doc__, formatter_class=lines)
    parser.add_argument("--judged", required=True, metavar="CSV", help="table of pairs and the judges' answers")
    scores = "a scorer and its score table; repeatable; other scorers are compared with the first"
    parser.add_argument("--scores", required=True, action="append", metavar="NAME=TABLE", help=scores)
    group = "splits to measure together, for example near=test1,test2; repeatable"
    parser.add_argument("--group", action="append", default=[], metavar="GROUP=SPLITS", help=group)
    parser.add_argument(
        "--resamples", type=int, default=1000, metavar="N", help="number of bootstrap resamples of the pairs [1000]"
    )
    parser.add_argument("--output", metavar="JSON", help="also write the results to this file")
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
