"""TFDS builder for the paper's release; for the formats, see `lists`, and for the checks, `problems`."""

import functools
import math
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from blur_jax.data.names import locate
from tfds_builders import schema
from tfds_builders.pictures import Failure, content_of, read_faces
from tfds_builders.problems import FORGIVABLE, Problem, ReleaseError
from tfds_builders.ssranking_face_blur import lists
from tfds_builders.ssranking_face_blur.coverage import coverage, coverage_table

# Share of the labeled photographs (WIDER) and people (LFW, CASIA-WebFace) that are held out for validation.
HELD_OUT = 0.05
SIZE_BINS = (32, 40, 48, 64, 96)  # Bin edges in pixels; small faces are blurrier, so metrics compare within bins.


def photograph(name: str) -> str:
    """Returns the photograph of a face (WIDER) or the person in a picture (LFW, CASIA): the name without its number.

    "LFW/AJ_Cook_0001.jpg" -> "LFW/AJ_Cook"; "CASIA_WebFace/0000133/039.jpg" -> "CASIA_WebFace/0000133".
    """
    return re.sub(r"[_/]\d+$", "", os.path.splitext(name)[0])


def held_out(names: Iterable[str]) -> frozenset[str]:
    """Draws the `HELD_OUT` share of the photographs (at least one) by SHA-256, identically on every machine."""
    photographs = schema.shuffled({photograph(name) for name in names})
    return frozenset(photographs[: math.ceil(HELD_OUT * len(photographs))])


class Sources:
    """The contents of `manual_dir`, read on first use and shared by all parts."""

    def __init__(self, manual_dir: str | os.PathLike) -> None:
        self._manual_dir = manual_dir

    @functools.cached_property
    def release(self) -> lists.Release:
        return lists.read_release(self._manual_dir)

    @functools.cached_property
    def first_use(self) -> dict[str, str]:
        """{face: file and line of the first pair or rank that uses it}."""
        uses = {}
        for file in lists.LISTS["faces"]:
            for entry in self.release.entries.get(file, []):
                for name in entry.names:
                    uses.setdefault(name, f"{file}:{entry.line}")
        return uses

    @functools.cached_property
    def pictures(self) -> dict[str, Path]:
        """{face: path of its picture}, sorted so that row numbers do not depend on the pairs."""
        names = sorted(self.first_use)
        return {name: _locate(self.release.root, self.release.picture(name)) for name in names}

    @functools.cached_property
    def faces_fingerprint(self) -> str:
        """The `digest` of the picture names, boxes and contents."""
        content = content_of(self.pictures.values())
        return schema.digest([[n, self.release.crop(n).box, content[path]] for n, path in self.pictures.items()])

    @functools.cached_property
    def fingerprint(self) -> str:
        """The `digest` of the lists and the faces."""
        return schema.digest([lists.fingerprint(self._manual_dir), self.faces_fingerprint])


class SsrankingFaceBlur(schema.BlurDataset):
    """Rank labels from the paper's release, for the user's copies of LFW, CASIA-WebFace, WIDER FACE and MegaFace.

    Splits by part:
        labeled: "train" from the larger supervised list and, if both lists exist, "train_5k" from the smaller one;
            "validation" contains the pairs of the larger list with at least one held-out face (see `held_out`);
            training pairs have none. `order` is always +1 (right is blurrier), so training must ignore the position.
        unlabeled: "train" contains every pair, including pairs with held-out faces, because it does not use labels.
        ranked: "test1" to "test3", if their lists exist.
    """

    VERSION = "2.0.0"
    NEEDS_MANUAL_DIR = True
    DESCRIPTION = """Pairs of faces with the order of their blur, unlabeled pairs, and ranked test faces: the lists of
    SSRanking-for-Object-BA over local copies of the photographs they refer to."""
    CITATION = """@inproceedings{li2022ssranking,
      title = {Semi-supervised Ranking for Object Image Blur Assessment},
      author = {Li, Qiang and Yao, Zhaoliang and Wang, Jingjing and Tian, Ye and Yang, Pengju and Xie, Di and
        Pu, Shiliang},
      booktitle = {IEEE International Conference on Image Processing (ICIP)},
      year = {2022},
      eprint = {2207.06085},
      archivePrefix = {arXiv},
    }"""

    def __init__(
        self,
        *,
        manual_dir: str | os.PathLike,
        allow_missing: bool = False,
        sources: Sources | None = None,
        **kwargs: Any,
    ) -> None:
        """Creates the builder for one part; `sources` are the contents of `manual_dir` if another part has read them.

        `manual_dir` contains the release's text files and the picture folders. With `allow_missing`, lines are
        skipped if a picture is missing or unreadable, or if a box extends beyond its picture.
        """
        self.manual_dir, self.allow_missing = manual_dir, allow_missing
        self.sources = sources or Sources(manual_dir)
        self._shared = {"manual_dir": manual_dir, "allow_missing": allow_missing, "sources": self.sources}
        super().__init__(**kwargs)

    @property
    def release(self) -> lists.Release:
        return self.sources.release

    def faces_fingerprint(self) -> str:
        return self.sources.faces_fingerprint

    def sources_fingerprint(self) -> str:
        return self.sources.fingerprint

    def download_and_prepare(self, **kwargs: Any) -> None:
        """Prepares the part unless it already exists.

        Raises:
            ReleaseError: the lists or the pictures have problems.
            ValueError: the part was prepared from partial data, but `allow_missing` is False.
        """
        super().download_and_prepare(**kwargs)
        if self.prepared_metadata()["failures" if self.kind == "faces" else "partial"] and not self.allow_missing:
            raise ValueError(
                f"{self.data_path} is already prepared from partial data; accept this (allow_missing=True,"
                " --allow_missing, --config.data.allow_missing=True) or add the missing files to"
                f" {self.manual_dir}"
            )

    def has(self, kind: str) -> bool:
        return not lists.lacking(self.release, kind)

    def check(self, required: Collection[str] = ()) -> None:
        """Prints the lists that are not read; raises ReleaseError if lists have problems or leave a split empty."""
        if unread := lists.unread(self.release.root):
            print(f"{self.manual_dir}: skipped lists with unexpected names: {', '.join(unread)}", file=sys.stderr)
        parts = required or [kind for kind in schema.KINDS if kind != "faces" and self.has(kind)] or ["labeled"]
        self._check([problem for kind in parts for problem in lists.lacking(self.release, kind)], {})
        self._usable_splits(("labeled", "unlabeled", "ranked"), {})

    def face_examples(self) -> Iterator[dict[str, Any]]:
        """Yields the available faces; reads all of them first, and raises ReleaseError if there are problems."""
        wanted = {}
        for name, path in self.sources.pictures.items():
            wanted.setdefault(path, []).append((name, self.release.crop(name).box))
        faces = read_faces(wanted, self.preprocessing)
        problems, failures = [], {}
        for name, failure in faces.items():
            if isinstance(failure, Failure):
                crop, failures[name] = self.release.crop(name), failure.kind
                details = f"{failure.details} (used in {self.sources.first_use[name]})"
                problems.append(Problem(failure.kind, crop.file, crop.line, details))
        self._check(problems, failures)
        self._usable_splits(("labeled", "unlabeled", "ranked"), failures)  # Raises before the faces are written.
        self.info.metadata["failures"] = failures
        return (self._face_example(name, faces[name]) for name in self.sources.pictures if name not in failures)

    def _face_example(self, name: str, image: Any) -> dict[str, Any]:
        size, group = min(self.release.crop(name).box[2:]), name.split("/")[-2]
        return {"image": image, "name": name, "size": np.float32(size), "group": group}

    def _check(self, problems: list[Problem], failures: Mapping[str, str]) -> None:
        """Raises ReleaseError for problems with the lists and faces, except those that `allow_missing` accepts."""
        problems = self.release.problems + problems
        if self.allow_missing:
            problems = [problem for problem in problems if problem.kind not in FORGIVABLE]
        if problems:
            table = coverage_table(coverage(self.release, self.kind, failures))
            raise ReleaseError(self.release.root, problems, table)

    def row_splits(self) -> dict[str, schema.Rows]:
        """Returns the pairs or ranks whose faces are available; keys are line numbers in the split's list."""
        self._check(lists.lacking(self.release, self.kind), {})
        rows, failures = self._prepared_faces()
        splits = self._usable_splits((self.kind,), failures)[self.kind]
        report = coverage(self.release, self.kind, failures)
        if failures:
            print(coverage_table(report), file=sys.stderr)
        self.info.metadata.update(partial=bool(failures), coverage=report)
        return {split: (self._row_example(entry, rows) for entry in entries) for split, entries in splits.items()}

    def _usable_splits(self, kinds: Iterable[str], failures: Mapping[str, str]) -> dict[str, dict[str, list]]:
        """Returns {part: {split: entries whose faces are available}}; raises ReleaseError if a split is empty."""
        usable, problems = {kind: {} for kind in kinds}, []
        for kind, splits in usable.items():
            for split, entries in _splits(self.release, kind).items():
                splits[split] = [entry for entry in entries if failures.keys().isdisjoint(entry.names)]
                if not splits[split]:
                    problems.append(Problem("empty split", split, 0, f"no lines are left for it in part {kind!r}"))
        if problems:
            table = coverage_table(coverage(self.release, self.kind, failures))
            raise ReleaseError(self.release.root, problems, table)
        return usable

    def _prepared_faces(self) -> tuple[dict[str, int], dict[str, str]]:
        """Prepares the faces; returns {name: row} and, for faces without a row, {name: problem kind}."""
        faces = self.part("faces")
        faces.download_and_prepare()
        failures = dict(faces.prepared_metadata()["failures"])
        names = [name for name in self.sources.pictures if name not in failures]  # In the order of `face_examples`.
        return {name: row for row, name in enumerate(names)}, failures

    def _row_example(self, entry: lists.Pair | lists.Ranked, rows: Mapping[str, int]) -> tuple[int, dict[str, Any]]:
        if isinstance(entry, lists.Ranked):
            return entry.line, {"face": rows[entry.name], "rank": np.float32(entry.rank)}
        order = {"order": np.int8(1)} if self.kind == "labeled" else {}
        names = {"left_name": entry.left, "right_name": entry.right}
        return entry.line, {"left": rows[entry.left], "right": rows[entry.right], **names, **order}

    def facts(self) -> dict[str, Any]:
        tests = [test for test, file in lists.TESTS.items() if file in self.release.entries]
        return {"headline_splits": tests, "size_bins": list(SIZE_BINS)}


def _locate(root: Path, picture: str) -> Path:
    """Returns the path of a picture; LFW may keep its original layout with one folder per person."""
    path = Path(locate(str(root), picture))
    person = re.sub(r"_\d+$", "", path.stem)
    nested = path.parent / person / path.name
    return nested if os.path.isfile(nested) and not os.path.exists(path) else path


def _splits(release: lists.Release, kind: str) -> dict[str, list]:
    """Returns {split: entries}, including entries with missing pictures, so that splits do not depend on those."""
    entries_of_lists = [release.entries[file] for file in lists.LISTS[kind] if file in release.entries]
    if kind == "unlabeled":
        return dict(zip(("train",), entries_of_lists))
    if kind == "ranked":
        return {test: release.entries[file] for test, file in lists.TESTS.items() if file in release.entries}
    chosen = held_out(name for entries in entries_of_lists for pair in entries for name in pair.names)

    def is_held_out(pair: lists.Pair) -> bool:
        return any(photograph(name) in chosen for name in pair.names)

    splits = {}
    for split, entries in zip(("train", "train_5k"), entries_of_lists):
        splits[split] = [pair for pair in entries if not is_held_out(pair)]
        if split == "train":
            splits["validation"] = [pair for pair in entries if is_held_out(pair)]
    return splits
