"""Chooses a threshold for a run, and reports how uncertain its effect is.

    python -m blur_jax.threshold --discard=0.1 PHOTOS
    python -m blur_jax.threshold --checkpoint=RUN --lose-good=0.05 --examples=labels.csv

Pictures whose blur is below the threshold are kept. Scoring and export read it from RUN/threshold.json; for the scorer
that comes with the package, the command prints the option to pass to them. See docs/thresholds.md.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from blur_jax.runs import command_line

if TYPE_CHECKING:
    from blur_jax.runs.threshold import Threshold


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        "python -m blur_jax.threshold", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="*", metavar="PHOTOS", help="pictures, folders or lists (see blur_jax.score)")
    command_line.add_checkpoint(parser)
    parser.add_argument("--examples", metavar="CSV", help="table with the columns name and label (good or bad)")
    rule = parser.add_mutually_exclusive_group(required=True)
    rule.add_argument("--discard", type=float, metavar="SHARE", help="discard this share of pictures like PHOTOS")
    rule.add_argument("--lose-good", type=float, metavar="SHARE", help="discard at most this share of good pictures")
    rule.add_argument("--keep-bad", type=float, metavar="SHARE", help="keep at most this share of bad pictures")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="pictures scored at a time [64]")
    return command_line.run(parser, _run, argv)


def _run(arguments: argparse.Namespace) -> int:
    shares = {rule: getattr(arguments, rule.replace("-", "_")) for rule in ("discard", "lose-good", "keep-bad")}
    ((rule, share),) = [item for item in shares.items() if item[1] is not None]
    if rule == "discard" and (arguments.examples or not arguments.pictures):
        raise ValueError("--discard needs PHOTOS (pictures or folders), not --examples")
    if rule != "discard" and (arguments.pictures or not arguments.examples):
        raise ValueError(f"--{rule} needs --examples=CSV, a list of good and bad pictures, not PHOTOS")

    from blur_jax.data.left_out import LeftOut
    from blur_jax.runs import distributed, program_cache
    from blur_jax.score import inputs, scorer
    from blur_jax.shipped import is_shipped
    from blur_jax.threshold import choose, rules

    rules.check_share(share)
    if rule == "discard":
        source = ", ".join(arguments.pictures[:3])
        pictures = inputs.Inputs(arguments.pictures)
    else:
        source, left_out = arguments.examples, LeftOut()
        examples = choose.read_examples(arguments.examples, left_out)
    program_cache.keep_programs()
    distributed.open_devices()
    loaded = scorer.load_scorer(arguments.checkpoint)
    options = {"source": source, "batch_size": arguments.batch_size}
    if rule == "discard":
        chosen = choose.for_discard(loaded, pictures, share, **options)
        left_out = pictures.left_out
    else:
        chosen = choose.for_examples(loaded, examples, rule, share, **options)
    print("\n".join(chosen.lines + left_out.sentences()))
    if is_shipped(loaded.path):  # No file of the package may change.
        print(f"to use this threshold, pass --keep-below={chosen.threshold.keep_below!r} to blur_jax.score")
    else:
        _write(loaded.path, chosen.threshold)
    return 0


def _write(run: str, chosen: "Threshold") -> None:
    """Writes a run's threshold; says so, and what it replaces."""
    from blur_jax.runs import threshold

    try:
        former = threshold.read_threshold(run)
        replaced = former and f"the threshold {former.keep_below:.4f}, {' '.join(former.source.split())}"
    except ValueError:
        replaced = "a threshold that cannot be read"
    print(f"wrote {threshold.write_threshold(run, chosen)}; scoring and export will use it")
    if replaced:
        print(f"this replaces {replaced}")


if __name__ == "__main__":
    sys.exit(main())
