"""Kinds of problems with lists and pictures, each with its meaning and remedy, and the error that reports them."""

import collections
import os
import re
import sys
from collections.abc import Sequence
from typing import NamedTuple

_TEXT = """
- missing list: a required file is not in manual_dir. Put the lists into manual_dir, next to the pictures. Pairs are
  always required. Unlabeled pictures are required if config.consistency.quadruplet_weight, pairwise_weight or
  distillation_weight, or a term of config.probe, is above 0; test lists are required for an evaluation.
- malformed line: the line is not in the format of its list. Correct or delete the line; many such lines suggest a
  damaged download.
- unsafe path: the name points outside its picture folder ('..', an absolute path to a different folder, or a drive
  letter). Use relative names with '/', and do not use lists from untrusted sources.
- unknown folder: there is no crop list for the folder that the name starts with. Correct the name, or delete the line.
- unknown name: the face is not in any crop list, so its picture and box are unknown. Correct the name, add it to the
  crop list, or delete the line.
- duplicate crop: a crop list contains the same cropped name twice, so the name is ambiguous. Delete one of the two
  lines.
- pair with itself: a face cannot be blurrier than itself. Delete the line.
- contradictory pair: one annotator (or the lists, without annotators) gave the same two faces different orders. Delete
  the wrong line, or both.
- repeated line: a list contains the same labeled pair or test face twice, so it would count twice. Delete one of the
  two lines.
- train and test: a test face is also in the training data, so the test would reward memorization. Delete the face from
  the training lists or from the test list.
- train and test, by content: a test picture looks the same as a training picture with a different name; it may be
  resaved, resized or mirrored. Delete one of the two from its table.
- test and unlabeled: an unlabeled picture looks the same as a test picture; it is left out of training. You do not
  need to do anything.
- same picture: several pictures look the same, so the same face counts several times; they are held out for validation
  together. Delete the copies, unless you meant to compare several shots of the same thing.
- cycle: the orders form a cycle (a < b: b is blurrier), so at least one is wrong; all of them are used for training.
  Compare these pictures again.
- repeated vote: one annotator (or the table, without annotators) gave a pair the same order twice. Delete one of the
  two lines.
- unknown picture: the folder has no picture with this name. Correct the name, add the picture, or delete the line.
  Names are relative to images/ or unlabeled/, or to the folder itself if it has no images/.
- ambiguous name: images/ and unlabeled/ contain pictures with the same name, so tables cannot refer to them. Rename or
  delete one of them.
- missing box: boxes.csv has no box for a picture that is compared or ranked. Add its box, or delete boxes.csv if the
  faces fill the pictures.
- missing attributes: attributes.csv has no line for a test picture. Add its line, or delete attributes.csv.
- unused box: boxes.csv has a box for a picture that is not in the folder; the box is not used. Correct the name, or
  delete the line.
- too small: the picture or its box has too few pixels to judge its blur. Use the original picture, or delete its lines.
- left out: a file is not used. To use it, convert it to a supported format, replace the damaged file or link, rename it
  or move it. If you do not need it, you do not need to do anything; no table refers to it.
- missing image: the picture file does not exist. Add it (a link to its folder also works), or accept partial data
  (allow_missing=True, --allow_missing).
- unreadable image: the picture file is damaged, truncated or in an unsupported format, or it needs a missing package,
  or its value range is unknown. Download the file again, follow the advice on the line, or accept partial data
  (allow_missing=True, --allow_missing).
- box outside: the face box is empty or extends beyond the picture, which may not be the version that the list
  describes. Use the original picture, correct the box, or accept partial data (allow_missing=True, --allow_missing).
- empty split: a split of the data set has no lines left. Add more lists or pictures. In the lists for
  ssranking_face_blur, names that differ only in their last number (a_1.jpg, a_2.jpg) count as one photograph or person
  and are held out together, so give unrelated pictures different names.
- too few pairs: training and validation each need a pair with an order. Compare more pictures.
"""
# {problem kind: meaning and remedy}.
KINDS = dict(re.findall(r"^- (.*?): (.*?)$", re.sub(r"\n +", " ", _TEXT), re.MULTILINE))
# The kinds that allow_missing=True accepts.
FORGIVABLE = ("missing image", "unknown picture", "unreadable image", "box outside", "too small")

LONGEST_LINE = 4096  # Bytes; longer lines are not parsed.
_SHOWN = 500  # Characters of `Problem.details` in a message.


class Problem(NamedTuple):
    """A problem in a file; `line` counts from 1, and 0 means the whole file."""

    kind: str
    file: str
    line: int
    details: str

    def __str__(self) -> str:
        details = self.details if len(self.details) <= _SHOWN else f"{self.details[:_SHOWN]}..."
        return f"{self.file}{f':{self.line}' if self.line else ''}: {details}"


def is_unsafe(name: str) -> bool:
    """Returns whether a name from a list points outside its folder on any operating system."""
    return bool(re.match("/|[A-Za-z]:", name)) or "\\" in name or ".." in name.split("/")


def listing(problems: Sequence[Problem]) -> str:
    """Formats problems by kind, with meaning and remedy; shows only the first few of a frequent kind."""
    kinds = collections.Counter(problem.kind for problem in problems)
    shown, text = max(3, 20 // max(len(kinds), 1)), []
    for kind, count in kinds.items():
        text += [f"\n{kind} ({count}): {KINDS[kind]}"]
        text += [f"  {problem}" for problem in problems if problem.kind == kind][:shown]
        text += [f"  ... and {count - shown} more"] * (count > shown)
    return "\n".join(text)


def print_warnings(root: str | os.PathLike, warnings: Sequence[Problem]) -> None:
    if warnings:
        print(f"{root}: {len(warnings)} warning(s)\n{listing(warnings)}\n", file=sys.stderr)


class ReleaseError(ValueError):
    """Reports problems with lists and pictures, grouped by kind with a remedy for each, and the `coverage` table."""

    def __init__(self, root: str | os.PathLike, problems: list[Problem], coverage: str = "") -> None:
        text = f"{root}: {len(problems)} problem(s) in the lists and pictures\n{listing(problems)}"
        super().__init__(text + f"\n\n{coverage}" * bool(coverage))
