"""Parses and checks the text lists of the paper's release without reading any pictures.

Formats (README of github.com/yzliangHIK2022/SSRanking-for-Object-BA):

- crop lists: `DataSet>>original name>>x y w h>>cropped name`, in pixels of the original picture;
- supervised pairs: `left,right`, where the right face is blurrier; unsupervised pairs: the same, in any order;
- tests: `name order`, where a larger order is blurrier.

Names in pair and test lists start with a folder, followed by the cropped name; see `FOLDERS`. Files are UTF-8 in any
Unicode form; a byte order mark, CRLF line endings and blank lines are accepted.
"""

import dataclasses
import hashlib
import math
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tfds_builders.problems import LONGEST_LINE, Problem, is_unsafe

# {first folder of a name in the pair and test lists: (crop list with the rest of the name, folder with the original
# pictures)}. The release does not document these names: "LFW", "CASIA_WebFace" and "Images_Wider_Train" appear in its
# examples, and the other two are inferred from them.
FOLDERS = {
    "LFW": ("LFW_all_imgs_list.txt", "LFW"),
    "CASIA_WebFace": ("CASIA_all_imgs_list.txt", "CASIA_WebFace"),
    "Images_Wider_Train": ("WiderFace_train_all_imgs_list.txt", "WIDER_train"),
    "Images_Wider_Val": ("WiderFace_val_all_imgs_list.txt", "WIDER_val"),
    "MegaFace": ("MegaFace_all_imgs_list.txt", "MegaFace"),
}
SUPERVISED_10K = "SSRanking_OBA_train_supervised_10k.txt"
SUPERVISED_5K = "SSRanking_OBA_train_supervised_5k.txt"
UNSUPERVISED = "SSRanking_OBA_train_unsupervised.txt"
TESTS = {f"test{i}": f"SSRanking_OBA_test_test{i}.txt" for i in (1, 2, 3)}
# The lists for each part; at least one of them must exist.
LISTS = {
    "faces": (SUPERVISED_10K, SUPERVISED_5K, UNSUPERVISED, *TESTS.values()),
    "labeled": (SUPERVISED_10K, SUPERVISED_5K),
    "unlabeled": (UNSUPERVISED,),
    "ranked": tuple(TESTS.values()),
}
_LIKE_LIST = re.compile(r"(?i)^ssranking.*\.txt$|imgs_list.*\.txt$")
_MOST_COMMAS = 100  # Per line; names may contain commas, but parsing them takes quadratic time.


class Crop(NamedTuple):
    """A line of a crop list; `box` is (x, y, width, height) in pixels of the original picture."""

    file: str
    line: int
    original: str
    box: tuple[int, int, int, int]


class Pair(NamedTuple):
    """A line of a pair list; in supervised lists the right face is blurrier."""

    line: int
    left: str
    right: str

    @property
    def names(self) -> tuple[str, str]:
        return self.left, self.right


class Ranked(NamedTuple):
    """A line of a test list; a larger rank is blurrier."""

    line: int
    name: str
    rank: float

    @property
    def names(self) -> tuple[str]:
        return (self.name,)


@dataclasses.dataclass
class Release:
    """The parsed lists.

    `crops` is {crop list: {cropped name: Crop}}; `entries` is {pair or test list: its valid lines, each a `Pair` or
    `Ranked`}; `lines` counts the nonblank lines; `absent` contains missing crop lists that names refer to.
    """

    root: Path
    crops: dict[str, dict[str, Crop]] = dataclasses.field(default_factory=dict)
    entries: dict[str, list[Any]] = dataclasses.field(default_factory=dict)
    lines: dict[str, int] = dataclasses.field(default_factory=dict)
    absent: set[str] = dataclasses.field(default_factory=set)
    problems: list[Problem] = dataclasses.field(default_factory=list)

    def knows(self, name: str) -> bool:
        """Returns whether a crop list contains a name such as "LFW/AJ_Cook_0001.jpg"."""
        folder, _, cropped = name.partition("/")
        return folder in FOLDERS and cropped in self.crops.get(FOLDERS[folder][0], {})

    def crop(self, name: str) -> Crop:
        """Returns the crop of a known name."""
        folder, _, cropped = name.partition("/")
        return self.crops[FOLDERS[folder][0]][cropped]

    def picture(self, name: str) -> str:
        """Returns the expected path of a known name's picture, relative to `root`."""
        return f"{FOLDERS[name.partition('/')[0]][1]}/{self.crop(name).original}"


def read_release(manual_dir: str | os.PathLike) -> Release:
    """Reads and checks every list in a directory; unsupervised lists may repeat or reverse pairs."""
    release = Release(Path(manual_dir))
    for file, _ in FOLDERS.values():
        if (release.root / file).is_file():
            release.crops[file] = _read_crops(release, file)
    for file in LISTS["labeled"] + LISTS["unlabeled"] + LISTS["ranked"]:
        if (release.root / file).is_file():
            read = _read_ranks if file in LISTS["ranked"] else _read_pairs
            release.entries[file] = read(release, file)
            if not release.lines[file]:
                release.problems.append(Problem("malformed line", file, 0, "the list is empty"))
    _check_labels(release)
    _check_leaks(release)
    return release


def lacking(release: Release, kind: str) -> list[Problem]:
    """Returns a problem if a part has no list, or [] if it has at least one."""
    if any(file in release.entries for file in LISTS[kind]):
        return []
    text = f"not found in {release.root}, but part {kind!r} needs it"
    return [Problem("missing list", " or ".join(LISTS[kind]), 0, text)]


def unread(root: Path) -> list[str]:
    """Returns files whose names resemble list names, such as copies or names with different letter case."""
    known = {file for file, _ in FOLDERS.values()}.union(*LISTS.values())
    return sorted(path.name for path in root.glob("*") if path.name not in known and _LIKE_LIST.search(path.name))


def fingerprint(manual_dir: str | os.PathLike) -> str:
    """Returns the SHA-256 of the release's text files."""
    digest = hashlib.sha256()
    for path in filter(Path.is_file, sorted(Path(manual_dir).glob("*.txt"))):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _lines(release: Release, file: str) -> Iterator[tuple[int, str]]:
    """Yields (line number, text) for each nonblank line, and counts them."""
    release.lines[file] = 0
    data = (release.root / file).read_bytes().removeprefix(b"\xef\xbb\xbf")
    for number, raw in enumerate(data.splitlines(), 1):
        release.lines[file] += bool(raw.strip())
        try:
            if len(raw) > LONGEST_LINE:
                raise ValueError(f"the line has {len(raw)} bytes; at most {LONGEST_LINE} are allowed")
            if text := unicodedata.normalize("NFC", raw.decode("utf-8")).strip():
                yield number, text
        except UnicodeDecodeError:
            release.problems.append(Problem("malformed line", file, number, f"not UTF-8: {raw!r}"))
        except ValueError as error:
            release.problems.append(Problem("malformed line", file, number, str(error)))


def _read_crops(release: Release, file: str) -> dict[str, Crop]:
    crops = {}
    for number, text in _lines(release, file):
        fields = [field.strip() for field in text.split(">>")]
        if len(fields) != 4 or not all(fields):
            problem = ("malformed line", f"{text!r} is not 'DataSet>>original>>x y w h>>cropped'")
        elif not (box := re.fullmatch(r"\s+".join([r"(-?[0-9]{1,9})"] * 4), fields[2])):
            problem = ("malformed line", f"box {fields[2]!r} is not four integers 'x y w h'")
        elif is_unsafe(fields[1]) or is_unsafe(fields[3]):
            problem = ("unsafe path", f"{fields[1]!r}, cropped as {fields[3]!r}")
        elif fields[3] in crops:
            problem = ("duplicate crop", f"{fields[3]!r} is already on line {crops[fields[3]].line}")
        else:
            x, y, width, height = map(int, box.groups())
            crops[fields[3]] = Crop(file, number, fields[1], (x, y, width, height))
            continue
        release.problems.append(Problem(problem[0], file, number, problem[1]))
    return crops


def _is_known(release: Release, file: str, line: int, name: str) -> bool:
    """Returns whether a crop list contains the name; reports unknown names as problems."""
    if release.knows(name):
        return True
    folder, slash, _ = name.partition("/")
    if is_unsafe(name):
        problem = Problem("unsafe path", file, line, repr(name))
    elif not slash or folder not in FOLDERS:
        text = f"{name!r} does not start with one of the folders {', '.join(FOLDERS)}"
        problem = Problem("unknown folder", file, line, text)
    elif (crop_list := FOLDERS[folder][0]) in release.crops:
        problem = Problem("unknown name", file, line, f"{name!r} is not in {crop_list}")
    elif crop_list in release.absent:
        return False
    else:
        release.absent.add(crop_list)
        text = f"not found in {release.root}, but required for {name!r} in {file}:{line}"
        problem = Problem("missing list", crop_list, 0, text)
    release.problems.append(problem)
    return False


def _split_pair(release: Release, text: str) -> tuple[str, str] | None:
    """Splits a line at its comma; if names contain commas, exactly one split must produce two known names."""
    cuts = [match.start() for match in re.finditer(",", text)]
    if len(cuts) > _MOST_COMMAS:
        return None
    pairs = [(text[:cut].strip(), text[cut + 1 :].strip()) for cut in cuts]
    if len(pairs) > 1:
        pairs = [pair for pair in pairs if all(map(release.knows, pair))]
    return pairs[0] if len(pairs) == 1 and all(pairs[0]) else None


def _read_pairs(release: Release, file: str) -> list[Pair]:
    pairs = []
    for number, text in _lines(release, file):
        pair = _split_pair(release, text)
        if pair is None:
            details = f"{text!r} is not 'left,right' with two known names"
            release.problems.append(Problem("malformed line", file, number, details))
        elif pair[0] == pair[1]:
            release.problems.append(Problem("pair with itself", file, number, repr(pair[0])))
        elif all([_is_known(release, file, number, name) for name in pair]):
            pairs.append(Pair(number, *pair))
    return pairs


def _read_ranks(release: Release, file: str) -> list[Ranked]:
    ranks = {}
    for number, text in _lines(release, file):
        try:
            name, order = text.rsplit(maxsplit=1)
            rank = float(order)
        except ValueError:
            name, rank = text, math.nan
        if not abs(rank) < 3e38:  # The range of float32.
            details = f"{text!r} is not 'name order' with a finite number"
            release.problems.append(Problem("malformed line", file, number, details))
        elif name in ranks:
            details = f"{name!r} is already on line {ranks[name].line}"
            release.problems.append(Problem("repeated line", file, number, details))
        elif _is_known(release, file, number, name):
            ranks[name] = Ranked(number, name, rank)
    return list(ranks.values())


def _check_labels(release: Release) -> None:
    """Reports labeled pairs that are repeated within a list, and pairs that appear in both orders."""
    places = {}
    for file in LISTS["labeled"]:
        lines = {}
        for pair in release.entries.get(file, []):
            if pair.names in lines:
                text = f"the pair is already on line {lines[pair.names]}: {','.join(pair.names)}"
                release.problems.append(Problem("repeated line", file, pair.line, text))
            if pair.names[::-1] in places:
                text = f"{','.join(pair.names)} has the opposite order in {places[pair.names[::-1]]}"
                release.problems.append(Problem("contradictory pair", file, pair.line, text))
            lines.setdefault(pair.names, pair.line)
            places.setdefault(pair.names, f"{file}:{pair.line}")


def _check_leaks(release: Release) -> None:
    """Reports test faces that are also in training lists, even if the same box has a different name."""

    def face(name: str) -> tuple[str, tuple[int, ...]]:
        return release.picture(name), release.crop(name).box

    trained = {}
    for file in LISTS["labeled"] + LISTS["unlabeled"]:
        for pair in release.entries.get(file, []):
            for name in pair.names:
                trained.setdefault(face(name), f"{file}:{pair.line} as {name!r}")
    for file in LISTS["ranked"]:
        for ranked in release.entries.get(file, []):
            if face(ranked.name) in trained:
                text = f"{ranked.name!r} is in {trained[face(ranked.name)]}"
                release.problems.append(Problem("train and test", file, ranked.line, text))
