"""TFDS builder for your own folder of pictures; docs/data.md describes the folder and its checks."""

import os
import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from blur_jax.data.preprocessing import Preprocessing
from tfds_builders import schema
from tfds_builders.folder_face_blur.findings import Findings, examine
from tfds_builders.folder_face_blur.sources import Look, Sources
from tfds_builders.folder_face_blur.tables import PAIRS, RANKED
from tfds_builders.pictures import Failure
from tfds_builders.problems import Problem, ReleaseError, print_warnings

# {part: (file or folder to add if the part is missing, what to put in it)}.
_NEEDED = {
    "labeled": (PAIRS, "the pairs that people compared; the first line is left,right,order"),
    "unlabeled": ("unlabeled/", "two more pictures that are not in ranked.csv"),
    "ranked": (RANKED, "the test pictures; the first line is name,rank"),
}


class FolderFaceBlur(schema.BlurDataset):
    """Pictures in a folder with `pairs.csv`, at any depth; boxes, test ranks and unlabeled pictures are optional.

    Labeled pairs have the splits "train" and "validation" (see `splits.split_pairs`). Unlabeled pairs, from all
    pictures except test pictures and their copies, are in the split "train", and ranked faces are in "test".
    """

    VERSION = "1.0.0"
    NEEDS_MANUAL_DIR = READS_BOXES = True
    DEFAULT = Preprocessing(image_size=128)
    DESCRIPTION = "A folder of pictures, and pairs of them that people ordered by blur."

    def __init__(
        self,
        *,
        manual_dir: str | os.PathLike,
        allow_missing: bool = False,
        preprocessing: Preprocessing | None = None,
        shared: "FolderFaceBlur | None" = None,
        **kwargs: Any,
    ) -> None:
        """Creates the builder for one part; `shared` is another part that has already read the folder.

        With `allow_missing`, lines whose pictures are missing, unreadable or too small are skipped.
        """
        self.manual_dir, self.allow_missing = manual_dir, allow_missing
        self.sources = shared.sources if shared else Sources(manual_dir, preprocessing or self.DEFAULT)
        self._findings, self._looks = (shared._findings, shared._looks) if shared else (None, None)
        self._shared = {"manual_dir": manual_dir, "allow_missing": allow_missing, "shared": self}
        super().__init__(preprocessing=preprocessing, **kwargs)

    def faces_fingerprint(self) -> str:
        return self.sources.faces_fingerprint

    def sources_fingerprint(self) -> str:
        return self.sources.fingerprint

    @property
    def looks(self) -> dict[str, Look | Failure]:
        """The look of each picture; comes from the prepared faces if they exist, and is otherwise read now."""
        if self._looks is None:
            looks: dict[str, Look | Failure] = {}
            part = self if self.kind == "faces" else self.part("faces")
            if os.path.exists(os.path.join(part.data_path, "dataset_info.json")):
                metadata = part.prepared_metadata()
                looks |= {name: Look(*look) for name, look in metadata["looks"].items()}
                looks |= {name: Failure(*failure) for name, failure in metadata["failures"].items()}
            else:
                print(f"reading {len(self.sources.wanted)} pictures in {self.manual_dir}", file=sys.stderr)
                for name, face in self.sources.faces.items():
                    looks[name] = face if isinstance(face, Failure) else face[1]
            self._looks = {name: looks[name] for name in self.sources.wanted}
        return self._looks

    @property
    def findings(self) -> Findings:
        if self._findings is None:
            self._findings = examine(self.sources, self.looks, allow_missing=self.allow_missing)
        return self._findings

    def has(self, kind: str) -> bool:
        tables = self.sources.tables
        return {
            "labeled": tables.votes is not None,
            "unlabeled": bool(self.findings.unlabeled),
            "ranked": bool(tables.ranks),
        }[kind]

    def check(self, required: Collection[str] = ()) -> None:
        """Reads every picture and table; prints warnings and the agreement between annotators.

        Raises:
            ReleaseError: the folder has problems, or a required part is empty.
        """
        lacking = [kind for kind in _NEEDED if kind in required and not self.has(kind)]
        if not any(self.has(kind) for kind in ("labeled", "ranked")):
            lacking = lacking or ["labeled"]
        missing = [Problem("missing list", _NEEDED[kind][0], 0, _NEEDED[kind][1]) for kind in lacking]
        print_warnings(self.manual_dir, self.findings.warnings)
        if agreement := self.sources.combined.agreement:
            alpha = agreement["alpha"]
            alpha = "is undefined, since all votes are ties" if alpha is None else f"is {alpha:.2f}"
            print(
                f"{agreement['pairs']} pairs were compared by more than one of {agreement['annotators']} annotators:"
                f" Krippendorff's alpha {alpha} (1 is perfect agreement, 0 is chance)",
                file=sys.stderr,
            )
        if problems := missing + self.findings.problems:
            raise ReleaseError(self.manual_dir, problems)

    def face_examples(self) -> Iterator[dict[str, Any]]:
        usable = self._usable()
        self.info.metadata["looks"] = {name: list(self.looks[name]) for name in usable}
        self.info.metadata["failures"] = {n: list(look) for n, look in self.looks.items() if isinstance(look, Failure)}
        return map(self._face_example, usable)

    def _usable(self) -> list[str]:
        """Returns the names of the pictures whose faces are stored, in row order."""
        return [name for name, look in self.looks.items() if isinstance(look, Look)]

    def _face_example(self, name: str) -> dict[str, Any]:
        image, look = self.sources.faces[name]
        box = self.sources.box(name)
        size = min(box[2:] if box else (look.width, look.height))
        return {"image": image, "name": name, "size": np.float32(size), "group": name.rpartition("/")[0]}

    def row_splits(self) -> dict[str, schema.Rows]:
        findings = self.findings
        self.info.metadata["partial"] = findings.partial
        rows = {name: row for row, name in enumerate(self._usable())}

        def pair(left: str, right: str, **order: np.int8) -> dict[str, Any]:
            return {"left": rows[left], "right": rows[right], "left_name": left, "right_name": right, **order}

        if self.kind == "ranked":
            self.info.metadata["attributes"] = self._attributes(rows)
            ranks = ({"face": rows[name], "rank": np.float32(rank)} for name, rank in findings.ranked.items())
            return {"test": enumerate(ranks)}
        if self.kind == "unlabeled":
            return {"train": enumerate(pair(*names) for names in findings.unlabeled)}
        return {
            split: ((vote.line, pair(*vote.names, order=np.int8(vote.order))) for vote in pairs)
            for split, pairs in (("train", findings.train), ("validation", findings.validation))
        }

    def _attributes(self, rows: Mapping[str, int]) -> dict[str, list[int]]:
        """Returns {attribute: the rows of the ranked faces that have it}; no part that is trained on has attributes."""
        attributes: dict[str, list[int]] = {}
        for name, described in (self.sources.tables.attributes or {}).items():
            for attribute, present in described.attributes.items():
                having = attributes.setdefault(attribute, [])
                if present and name in self.findings.ranked:
                    having.append(rows[name])
        return attributes

    def facts(self) -> dict[str, Any]:
        return {
            "headline_splits": ["test"] * self.has("ranked"),
            "size_bins": [],
            "agreement": self.sources.combined.agreement,
        }
