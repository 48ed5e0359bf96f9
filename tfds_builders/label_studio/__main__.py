"""Command that converts an export of pairwise comparisons to pairs.csv.

An export records the selected picture; `--question` says whether annotators selected the sharper or the blurrier one.
The labeling configuration (`--config`) shows which picture was on the left; without it, pass the names of the two
pictures in the task data (`--left-key`, `--right-key`).
"""

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from blur_jax.runs import command_line


def convert(arguments: argparse.Namespace) -> int:
    from blur_jax.runs.run_dir import write_atomically
    from tfds_builders.label_studio.answers import TIES, order_of, read_answers
    from tfds_builders.label_studio.interface import Interface, read_interface
    from tfds_builders.label_studio.names import Names
    from tfds_builders.label_studio.votes import Vote, latest

    output = Path(arguments.output)
    if output.exists() and not arguments.overwrite:
        raise ValueError(f"{output} already exists; pass --overwrite to replace it, or use a different --output")
    if arguments.config:
        interface = read_interface(Path(arguments.config).read_text("utf-8-sig"), arguments.control)
    elif arguments.left_key and arguments.right_key:
        interface = Interface(arguments.left_key, arguments.right_key, arguments.control)
    else:
        raise ValueError("cannot tell which picture was on the left; pass --config, or --left-key and --right-key")
    answers, cancelled = read_answers(Path(arguments.export).read_text("utf-8-sig"), interface)
    photos = arguments.photos or output.parent
    names = Names(photos, arguments.strip_prefix, merge_copies=arguments.merge_copies)
    ties = [tie.lower() for tie in arguments.tie or TIES]
    votes, mistakes, unanswered = [], [], []
    for answer in answers:
        try:
            order = order_of(answer, interface, arguments.question, ties)
            pictures = [names.find(answer.data, key) for key in (interface.left_key, interface.right_key)]
        except ValueError as error:
            mistakes.append(f"  {answer.task}: {error}")
        else:
            if order is None:
                unanswered.append(answer)
            else:
                votes.append(Vote(*pictures, order, answer.annotator, answer.time, answer.task))
    of_two, kept = [vote for vote in votes if vote.left != vote.right], []
    try:
        kept = latest(of_two)
    except ValueError as error:
        mistakes.append(f"  {error}")
    if mistakes:
        more = [f"  ... and {len(mistakes) - 10} more"] * (len(mistakes) > 10)
        raise ValueError("\n".join([f"{arguments.export}: nothing was written", *mistakes[:10], *more]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("left", "right", "order", "annotator", "time"), *(vote[:5] for vote in kept)])
    write_atomically(output, text.getvalue())
    print(f"{output}: {len(kept)} votes, including {sum(vote.order == 0 for vote in kept)} ties")
    print(
        f"skipped: {cancelled} cancelled annotations, {len(unanswered)} without an answer, {len(of_two) - len(kept)}"
        f" that the same annotator answered again, {len(votes) - len(of_two)} that compare a picture with itself"
    )
    if choices := sorted({choice for answer in unanswered for choice in answer.choices if interface.choices}):
        print(f"choices not counted as ties (pass --tie to count one): {', '.join(map(repr, choices))}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tfds_builders.label_studio",
        description="Converts pairwise comparisons exported from Label Studio (JSON or JSON-MIN) to pairs.csv.",
    )
    add = parser.add_argument
    add("export", metavar="EXPORT.json", help="the exported file")
    add("--question", required=True, choices=("sharper", "blurrier"), help="which picture annotators selected")
    add("--output", required=True, metavar="PHOTOS/pairs.csv", help="the table to write")
    add("--config", metavar="FILE.xml", help="the labeling configuration, which shows which picture was on the left")
    add("--left-key", metavar="KEY", help="name of the left picture in the task data; use instead of --config")
    add("--right-key", metavar="KEY", help="name of the right picture in the task data")
    add("--control", metavar="NAME", help="name of the Pairwise tag, if there is more than one")
    add("--photos", metavar="FOLDER", help="folder with the pictures; default: the folder of --output")
    add("--strip-prefix", metavar="TEXT", help="text to remove from the start of a reference to get the picture's name")
    copies = "allow several references to match one picture, in case a picture was uploaded more than once"
    add("--merge-copies", action="store_true", help=copies)
    ties = "a choice that means a tie; repeatable; default: tie, equal, same, can't tell, cannot tell"
    add("--tie", action="append", metavar="CHOICE", help=ties)
    add("--overwrite", action="store_true", help="replace --output if it exists")
    return command_line.run(parser, convert, argv)


if __name__ == "__main__":
    sys.exit(main())
