"""Does discarding blurred pictures lower the error of a comparison system? Error versus discard (arXiv 2303.13294).

    python -m blur_jax.evaluate.error_vs_discard --comparisons=comparisons.csv --scores=scores.csv --output=edc.csv

The first has left,right,similarity,mated; the second name and the columns to judge by. See docs/thresholds.md.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from blur_jax.runs import command_line

if TYPE_CHECKING:
    from blur_jax.evaluate.discard_curve import DiscardCurve


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    lines = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m blur_jax.evaluate.error_vs_discard", description=__doc__, formatter_class=lines
    )
    parser.add_argument("--comparisons", required=True, metavar="CSV", help="left,right,similarity,mated (1 or 0)")
    parser.add_argument("--scores", required=True, metavar="CSV", help="name and scores, as blur_jax.score writes them")
    parser.add_argument("--fmr", type=float, default=0.001, help="false match rate that fixes the threshold [0.001]")
    parser.add_argument(
        "--column",
        action="append",
        metavar="NAME",
        help="column to judge by; repeatable; of columns that are not ours say NAME:higher or NAME:lower, which is"
        " better [sharpness]",
    )
    parser.add_argument("--limit", type=float, default=0.2, help="largest share discarded of the partial area [0.2]")
    parser.add_argument("--output", metavar="CSV", help="write the curves here: column,discarded,fnmr")
    parser.add_argument("--figure", metavar="WEBP", help="draw the curves here")
    return command_line.run(parser, _run, argv)


def _run(arguments: argparse.Namespace) -> int:
    from blur_jax.evaluate import comparisons, discard_curve

    limit = arguments.limit
    if not 0 < limit <= 1:
        raise ValueError(f"--limit must lie in (0, 1], not {limit:g}")
    if arguments.figure and not arguments.figure.endswith(".webp"):
        raise ValueError(f"--figure={arguments.figure}: must end in .webp")
    measures = [comparisons.parse_measure(text) for text in arguments.column or ["sharpness"]]
    compared = comparisons.read_comparisons(arguments.comparisons)
    qualities = comparisons.read_qualities(arguments.scores, measures)
    left, right = comparisons.mated_qualities(compared, qualities, arguments.scores)
    threshold = discard_curve.match_threshold(compared.similarity[~compared.mated], arguments.fmr)
    errors = compared.similarity[compared.mated] < threshold
    curves = {
        measure.column: discard_curve.discard_curve(left[:, k], right[:, k], errors)
        for k, measure in enumerate(measures)
    }
    print(
        f"{len(errors):,} mated and {len(compared.mated) - len(errors):,} non-mated comparisons; at an FMR of"
        f" {arguments.fmr:g} (similarity above {threshold:.6g}) the FNMR is {errors.mean():.4f}"
    )
    for column, curve in curves.items():
        print(
            f"{column}: partial area {curve.excess(limit):.6f} up to {limit:g} discarded, {curve.relative(limit):.3f}"
            f" times that of discarding at random (0 is best); FNMR {curve.at(limit):.4f} with {limit:g} discarded"
        )
    _write(arguments, curves)
    return 0


def _write(arguments: argparse.Namespace, curves: dict[str, "DiscardCurve"]) -> None:
    from blur_jax.runs import run_dir

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
            file.write(figures.to_webp(figures.discard_curves(curves, arguments.limit), quality=90))


if __name__ == "__main__":
    sys.exit(main())
