"""Measures how much discarding blurred pictures lowers a comparison system's error (error versus discard).

    python -m blur_jax.evaluate.error_vs_discard --comparisons=comparisons.csv --scores=scores.csv --output=edc.csv

The method is described in arXiv 2303.13294. The first table has the columns left,right,similarity,mated; the second has
name and the columns to judge by. See docs/thresholds.md.
"""

import argparse
import sys
from collections.abc import Sequence

from blur_jax.runs import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    name, lines = "python -m blur_jax.evaluate.error_vs_discard", argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(name, description=__doc__, formatter_class=lines)
    parser.add_argument("--comparisons", required=True, metavar="CSV", help="left,right,similarity,mated (1 or 0)")
    parser.add_argument("--scores", required=True, metavar="CSV", help="name and scores, as written by blur_jax.score")
    parser.add_argument("--fmr", type=float, default=0.001, help="false match rate that sets the threshold [0.001]")
    column = "column to judge by; repeatable; if from another system, append :higher or :lower (is better) [sharpness]"
    parser.add_argument("--column", action="append", metavar="NAME", help=column)
    parser.add_argument("--limit", type=float, default=0.2, help="largest discarded share that the area covers [0.2]")
    parser.add_argument("--output", metavar="CSV", help="write the curves to this file: column,discarded,fnmr")
    parser.add_argument("--figure", metavar="WEBP", help="draw the curves to this file")
    return command_line.run(parser, _run, argv)


def _run(arguments: argparse.Namespace) -> int:
    from blur_jax.data import files
    from blur_jax.data.left_out import LeftOut
    from blur_jax.evaluate import comparisons, discard_curve
    from blur_jax.runs import run_dir

    limit = arguments.limit
    if not 0 < limit <= 1:
        raise ValueError(f"--limit must be in (0, 1], not {limit:g}")
    inputs = (arguments.comparisons, arguments.scores)
    for flag, path, ending in (("--output", arguments.output, ".csv"), ("--figure", arguments.figure, ".webp")):
        if path:
            files.check_output(flag, path, (ending,), inputs)
    measures = [comparisons.parse_measure(text) for text in arguments.column or ["sharpness"]]
    left_out = LeftOut()
    compared = comparisons.read_comparisons(arguments.comparisons, left_out)
    qualities = comparisons.read_qualities(arguments.scores, measures, left_out)
    left, right = comparisons.mated_qualities(compared, qualities, arguments.scores)
    comparisons.check_direction(compared, arguments.comparisons)
    threshold = discard_curve.match_threshold(compared.similarity[~compared.mated], arguments.fmr)
    errors = compared.similarity[compared.mated] < threshold
    columns = [measure.column for measure in measures]
    curves = {column: discard_curve.discard_curve(left[:, k], right[:, k], errors) for k, column in enumerate(columns)}
    print(
        f"{len(errors):,} mated and {len(compared.mated) - len(errors):,} non-mated comparisons; at an FMR of"
        f" {arguments.fmr:g} (similarity above {threshold:.6g}) the FNMR is {errors.mean():.4f}"
    )
    for column, curve in curves.items():
        print(
            f"{column}: partial area {curve.excess(limit):.6f} up to {limit:g} discarded, {curve.relative(limit):.3f}"
            " times that of random discarding (0 is best)\n"
            f"{column}: FNMR {curve.at(limit):.4f} with {limit:g} discarded"
        )
    for sentence in left_out.sentences():
        print(sentence)
    if arguments.output:
        rows = [
            f"{column},{discarded:.6f},{fnmr:.6f}\n"
            for column, curve in curves.items()
            for discarded, fnmr in zip(curve.discarded, curve.fnmr)
        ]
        run_dir.write_atomically(arguments.output, "column,discarded,fnmr\n" + "".join(rows))
    if arguments.figure:
        from blur_jax.evaluate import figures

        with open(arguments.figure, "wb") as file:
            file.write(figures.to_webp(figures.discard_curves(curves, limit), quality=90))
    return 0


if __name__ == "__main__":
    sys.exit(main())
