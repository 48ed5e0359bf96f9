"""TFDS builder of the paper's release; see `lists` for the formats and `problems` for what is checked."""

import hashlib
import math
import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tfds_builders import base
from tfds_builders.ssranking_face_blur import lists
from tfds_builders.ssranking_face_blur.faces import coverage, coverage_table, read_faces
from tfds_builders.ssranking_face_blur.problems import FORGIVABLE, Problem, ReleaseError

# Part of the labeled photographs (of WIDER) and persons (of LFW and CASIA-WebFace) that is held out for validation.
HELD_OUT = 0.05


def photograph(name: str) -> str:
    """The name without its last number: the photograph of a face (WIDER) or the person of a picture (LFW, CASIA).

    "LFW/AJ_Cook_0001.jpg" -> "LFW/AJ_Cook"; "CASIA_WebFace/0000133/039.jpg" -> "CASIA_WebFace/0000133".
    """
    return re.sub(r"[_/]\d+$", "", os.path.splitext(name)[0])


def held_out(names: Iterable[str]) -> frozenset[str]:
    """Chooses the `HELD_OUT` of the photographs that have the lowest SHA-256: the same everywhere, at least one."""
    photographs = sorted({photograph(name) for name in names}, key=_digest)
    return frozenset(photographs[: math.ceil(HELD_OUT * len(photographs))])


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


class SsrankingFaceBlur(base.BlurDataset):
    """Rank labels of the paper's release over the user's copies of LFW, CASIA-WebFace, WIDER FACE and MegaFace.

    Splits by config:
        labeled: "train" from the largest supervised list there is and, with both lists, "train_5k" from the smaller;
            "validation" has the pairs of the largest list with at least one held-out face (see `held_out`). Training
            pairs have none, so no validation pair consists of faces trained on with labels. `order` is always +1 here
            (right is blurrier): training must not learn from the position.
        unlabeled: "train", every pair, with held-out faces too: their labels stay unseen.
        ranked: "test1" to "test3", as far as their lists are there.
    """

    VERSION = "1.0.0"
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
        partial: bool = False,
        folders: Mapping[str, tuple[str, str]] | None = None,
        **kwargs: Any,
    ):
        """Makes a builder of one config.

        Args:
            manual_dir: directory with the release's text files and, beside them, the picture folders.
            partial: leave out lines whose picture is missing or unreadable or whose box leaves it, instead of stopping.
            folders: folder in front of names -> (crop list, picture folder); adds to and replaces `lists.FOLDERS`.
            **kwargs: `config`, `preprocessing`, `data_dir`, ... as for the base class.
        """
        self.manual_dir = manual_dir
        self.partial = partial
        self.folders = folders
        super().__init__(**kwargs)

    def download_and_prepare(self, **kwargs):
        """Prepares the data set, or finds it prepared.

        Raises:
            ReleaseError: something is wrong with the lists or the pictures.
            ValueError: it is prepared already, but from other lists, or partially without `partial`.
        """
        if os.path.isdir(self.data_path):
            prepared = self.info.metadata
            other = f"{self.data_path} is prepared already, but %s; remove that folder or choose another data_dir"
            # Who keeps the prepared data only, without the lists, may go on using it.
            if os.path.isdir(self.manual_dir) and prepared["lists_sha256"] != lists.fingerprint(self.manual_dir):
                raise ValueError(other % f"from other lists than those in {self.manual_dir}")
            if prepared["partial"] and not self.partial:
                raise ValueError(other % "from partial data, and partial data are not asked for")
        super().download_and_prepare(**kwargs)

    def _split_generators(self, dl_manager):
        del dl_manager  # Nothing can be downloaded: the photographs are for their licensees.
        kind = self.builder_config.name
        release = lists.read_release(self.manual_dir, kind, self.folders)
        faces, failures = read_faces(release, kind, self.preprocessing)
        report = coverage(release, kind, failures)
        splits = {
            split: [entry for entry in entries if not any(name in failures for name in entry.names)]
            for split, entries in _splits(release, kind).items()
        }
        problems = release.problems + list(failures.values())
        if self.partial:
            problems = [problem for problem in problems if problem.kind not in FORGIVABLE]
        if not problems:
            problems = [
                Problem("empty split", split, 0, f"nothing is left for it in config {kind!r}")
                for split, entries in splits.items()
                if not entries
            ]
        if problems:
            raise ReleaseError(release.root, problems, coverage_table(report))
        print(coverage_table(report), file=sys.stderr)
        self.info.metadata["lists_sha256"] = lists.fingerprint(self.manual_dir)
        self.info.metadata["partial"] = self.partial
        self.info.metadata["coverage"] = report
        return {split: self._generate_examples(entries, release, faces) for split, entries in splits.items()}

    def _generate_examples(self, entries, release, faces):
        """Yields (line number in the list, example): lines of one split come from one list, so the keys are unique."""
        kind = self.builder_config.name
        for entry in entries:
            if kind == "ranked":
                example = {"image": faces[entry.name], "name": entry.name, "rank": np.float32(entry.rank)}
                example["size"] = np.float32(min(release.crop(entry.name).box[2:]))
                example["group"] = entry.name.split("/")[-2]
            else:
                example = {"left": faces[entry.left], "right": faces[entry.right]}
                example |= {"left_name": entry.left, "right_name": entry.right}
                if kind == "labeled":
                    example["order"] = np.int8(1)
            yield entry.line, example


def _splits(release: lists.Release, kind: str) -> dict[str, list]:
    """Split -> entries, before faces that cannot be had are left out: so that splits do not depend on those."""
    found = [release.entries[file] for file in lists.LISTS[kind] if file in release.entries]
    if kind == "unlabeled":
        return dict(zip(("train",), found))
    if kind == "ranked":
        return {test: release.entries[file] for test, file in lists.TESTS.items() if file in release.entries}
    chosen = held_out(name for entries in found for pair in entries for name in pair.names)

    def is_held_out(pair):
        return any(photograph(name) in chosen for name in pair.names)

    splits = {}
    for split, entries in zip(("train", "train_5k"), found):
        splits[split] = [pair for pair in entries if not is_held_out(pair)]
        if split == "train":
            splits["validation"] = [pair for pair in entries if is_held_out(pair)]
    return splits
