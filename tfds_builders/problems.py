"""What can be wrong with a release: each kind with its meaning and remedy, and the error that reports it."""

import collections
import os
from typing import NamedTuple

# Kind of problem -> what it means, and what to do.
KINDS = {
    "missing list": (
        "a list is not in manual_dir.",
        "Put the lists into manual_dir, next to the picture folders.",
    ),
    "malformed line": (
        "the line is not in its list's format, so nothing of it can be trusted.",
        "Correct or delete the line; a damaged download shows in many of these.",
    ),
    "unsafe path": (
        "the name points outside its picture folder ('..', absolute, backslash or drive letter).",
        "Do not use lists from a source you do not trust; write names relative, with '/'.",
    ),
    "unknown folder": (
        "no crop list is known for the folder in front of the name.",
        "Correct the name, or tell the builder: folders={'THE_FOLDER': ('ITS_CROP_LIST.txt', 'ITS_PICTURE_FOLDER')}.",
    ),
    "unknown name": (
        "the face is in no crop list, so nobody knows its picture and box.",
        "Correct the name, add it to the crop list, or delete the line.",
    ),
    "duplicate crop": (
        "a crop list has the same cropped name twice, so the name is ambiguous.",
        "Delete one of the two lines.",
    ),
    "pair with itself": ("a face cannot be blurrier than itself.", "Delete the line."),
    "contradictory pair": (
        "two labeled lines say the opposite of each other about the same two faces.",
        "Delete the wrong line, or both.",
    ),
    "repeated line": (
        "a list has the same labeled pair or test face twice, which would count it twice.",
        "Delete one of the two lines.",
    ),
    "train and test": (
        "a test face is also trained on, so the test would reward memory.",
        "Delete the face from the training lists or from the test list.",
    ),
    "missing image": (
        "the picture file is not there.",
        "Put it there (a link to the folder will do), or accept partial data (partial=True, --partial).",
    ),
    "unreadable image": (
        "the picture file is damaged, cut short or of an unsupported kind.",
        "Fetch the file again, or accept partial data (partial=True, --partial).",
    ),
    "box outside": (
        "the face box is empty or leaves the picture: perhaps the picture is another version than the list's.",
        "Use the original picture, correct the box, or accept partial data (partial=True, --partial).",
    ),
    "empty split": (
        "no line is left for a split of the data set.",
        "Supply more of the lists or of the pictures. Names that differ only in a last number (a_1.jpg, a_2.jpg) count"
        " as one photograph or person, and are held out together: give unrelated pictures different names.",
    ),
}
# What partial=True accepts: sources that can no longer be had. Never damaged, contradictory or leaking lists.
FORGIVABLE = ("missing image", "unreadable image", "box outside")


_SHOWN = 500  # Characters of what was found that a message shows.


class Problem(NamedTuple):
    """Something wrong with the release; `line` counts from 1, 0 stands for the whole file."""

    kind: str
    file: str
    line: int
    found: str

    def __str__(self) -> str:
        found = self.found if len(self.found) <= _SHOWN else f"{self.found[:_SHOWN]}..."
        return f"{self.file}{f':{self.line}' if self.line else ''}: {found}"


class ReleaseError(ValueError):
    """The release cannot be used; the message groups `problems` by kind, with a remedy for each kind."""

    def __init__(self, root: str | os.PathLike, problems: list[Problem], coverage: str = "") -> None:
        """Makes the error; `coverage` is a table to show below the problems."""
        self.problems = problems
        kinds = collections.Counter(problem.kind for problem in problems)
        shown = max(3, 20 // len(kinds))
        text = [f"{root}: {len(problems)} problem(s) in the lists and pictures; nothing was written."]
        for kind, count in kinds.items():
            meaning, remedy = KINDS[kind]
            text += [f"\n{kind} ({count}): {meaning} {remedy}"]
            text += [f"  {problem}" for problem in problems if problem.kind == kind][:shown]
            text += [f"  ... and {count - shown} more"] * (count > shown)
        super().__init__("\n".join(text + ["", coverage] * bool(coverage)))
