"""TFDS builder for sharp portraits: pairs of known order, rendered from any folder of portraits with `boxes.csv`.

No person labels anything: the order of a pair comes from the blur and the resolution that its two views are rendered
with. Portraits are split by picture, so no portrait is in two splits.
"""

import os
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from tqdm import tqdm

from blur_jax.data import pictures
from blur_jax.data.preprocessing import Preprocessing
from tfds_builders import schema
from tfds_builders.folder_face_blur.sources import Sources
from tfds_builders.pictures import Failure, encode_png
from tfds_builders.portrait_blur import rendering
from tfds_builders.portrait_blur.rendering import View
from tfds_builders.problems import Problem, ReleaseError, print_warnings

# Pairs differ visibly: see demo_face_blur.
MIN_RATIO = 1.25
VIEWS = 3  # Of each portrait.
PAIRS_PER_VIEW = 2
# The share of portraits held out for each split; the rest is for training.
_HELD_OUT = {"test": 0.05, "validation": 0.1}
_SPLITS = ("train", "validation", "test")
_CHUNK = 64  # Views rendered at a time.


class PortraitBlur(schema.BlurDataset):
    """Views of sharp portraits with `boxes.csv`, and pairs of views whose widths of blur differ visibly.

    Labeled pairs, of two portraits each, have the splits "train" and "validation"; the ranked split "test" has the
    width of each view, in face widths. Unlabeled pairs are the training portraits as they are.
    """

    VERSION = "1.0.0"
    NEEDS_MANUAL_DIR = READS_BOXES = True
    DEFAULT = Preprocessing(image_size=128)
    DESCRIPTION = "Sharp portraits, blurred and reduced by known amounts; the rank is the width of the blur."

    def __init__(
        self,
        *,
        manual_dir: str | os.PathLike,
        allow_missing: bool = False,
        preprocessing: Preprocessing | None = None,
        sources: Sources | None = None,
        **kwargs: Any,
    ) -> None:
        """Creates the builder for one part; `sources` is the folder if another part has already read it.

        With `allow_missing`, portraits that cannot be used are skipped.
        """
        self.manual_dir, self.allow_missing = manual_dir, allow_missing
        self.sources = sources or Sources(manual_dir, preprocessing or self.DEFAULT)
        self._shared = {"manual_dir": manual_dir, "allow_missing": allow_missing, "sources": self.sources}
        super().__init__(preprocessing=preprocessing, **kwargs)

    def faces_fingerprint(self) -> str:
        drawn = [rendering.FAMILIES, rendering.RMS_MIN, rendering.RMS_MAX, rendering.SIDES, VIEWS]
        return schema.digest([str(self.VERSION), drawn, self.sources.faces_fingerprint])

    def sources_fingerprint(self) -> str:
        return schema.digest([MIN_RATIO, PAIRS_PER_VIEW, self.faces_fingerprint()])

    def facts(self) -> dict[str, Any]:
        return {"headline_splits": ["test"], "size_bins": []}

    def check(self, required: Collection[str] = ()) -> None:
        """Reads every portrait; raises ReleaseError if one cannot be used, or a split is left without a pair."""
        tables = self.sources.tables
        problems, lines = list(tables.problems), tables.boxes or {}
        if tables.boxes is None:
            problems.append(Problem("missing list", "boxes.csv", 0, "the face in each portrait: name,x,y,width,height"))
        failed = [(name, face) for name, face in self.sources.faces.items() if isinstance(face, Failure)]
        for name, (kind, details) in failed * (not self.allow_missing):
            line = lines[name].line if name in lines else 0
            problems.append(Problem(kind, "boxes.csv", line, f"{name}: {details}"))
        splits = self._portraits()
        if not problems and min(map(len, splits.values())) < 2:
            few = f"{sum(map(len, splits.values()))} portraits; at least 30 are needed"
            problems.append(Problem("empty split", "boxes.csv", 0, few))
        print_warnings(self.manual_dir, tables.warnings)
        if problems:
            raise ReleaseError(self.manual_dir, problems)

    def face_examples(self) -> Iterator[dict[str, Any]]:
        """Yields all views of each split in turn, then the training portraits as they are."""
        portraits = self._portraits()
        for split in _SPLITS:
            views = _views(portraits[split])
            for image, view in zip(self._render(views), views):
                yield _face(str(view), encode_png(image), view.side, view.family)
        for name in portraits["train"]:
            image, look = self.sources.faces[name]
            yield _face(name, image, min(look.width, look.height), "")

    def row_splits(self) -> dict[str, schema.Rows]:
        portraits, splits, first = self._portraits(), {}, 0
        for split in _SPLITS:
            views = _views(portraits[split])
            if self.kind == "labeled" and split != "test":
                splits[split] = _ordered_pairs(views, first, seed=_SPLITS.index(split))
            elif self.kind == "ranked" and split == "test":
                splits[split] = _ranked(views, first)
            first += len(views)
        if self.kind == "unlabeled":
            splits["train"] = _neighbors(portraits["train"], first)
        return splits

    def _portraits(self) -> dict[str, list[str]]:
        """Returns {split: portraits}."""
        usable = (name for name, face in self.sources.faces.items() if not isinstance(face, Failure))
        names, splits = schema.shuffled(usable), {}
        total = len(names)
        for split, share in _HELD_OUT.items():
            count = round(share * total)
            splits[split], names = names[:count], names[count:]
        return splits | {"train": names}

    def _render(self, views: Sequence[View]) -> Iterator[np.ndarray]:
        bar = tqdm(total=len(views), desc="rendering portraits", unit="view", leave=False, disable=None)
        with bar, ThreadPoolExecutor() as pool:
            for start in range(0, len(views), _CHUNK):
                chunk = views[start : start + _CHUNK]
                padded = [*chunk, *[chunk[0]] * (_CHUNK - len(chunk))]  # One shape compiles once.
                faces = np.stack(list(pool.map(self._crop, padded)))
                yield from rendering.render(faces, padded)[: len(chunk)]
                bar.update(len(chunk))

    def _crop(self, view: View) -> np.ndarray:
        image = pictures.decode(self.sources.layout.paths[view.name])
        return rendering.crop(image, self.sources.tables.boxes[view.name].box, view, self.preprocessing)


def _views(portraits: Iterable[str]) -> list[View]:
    # Keyed by name, so an added portrait does not change the views of the others.
    return [
        rendering.draw(name, zlib.crc32(f"{name} {index}".encode()) >> 1)
        for name in portraits
        for index in range(VIEWS)
    ]


def _face(name: str, image: bytes, size: int, group: str) -> dict[str, Any]:
    return {"image": image, "name": name, "size": np.float32(size), "group": group}


def _pair(names: Sequence[str], left: int, right: int, first: int) -> dict[str, Any]:
    sides = {"left": first + left, "right": first + right}
    return sides | {"left_name": names[left], "right_name": names[right]}


def _ranked(views: Sequence[View], first: int) -> schema.Rows:
    for index, view in enumerate(views):
        yield index, {"face": first + index, "rank": np.float32(view.width)}


def _ordered_pairs(views: Sequence[View], first: int, *, seed: int) -> schema.Rows:
    """Yields random pairs of views of two portraits whose widths differ by `MIN_RATIO` or more."""
    rng, names, widths = np.random.default_rng(seed), list(map(str, views)), [view.width for view in views]
    wanted, key = PAIRS_PER_VIEW * len(views), 0
    while key < wanted:
        left, right = rng.integers(len(views), size=2).tolist()
        if views[left].name == views[right].name:
            continue
        ratio = widths[right] / widths[left]
        if max(ratio, 1 / ratio) >= MIN_RATIO:
            yield key, _pair(names, left, right, first) | {"order": np.int8(1 if ratio > 1 else -1)}
            key += 1


def _neighbors(portraits: Sequence[str], first: int) -> schema.Rows:
    """Yields pairs in which every portrait, unrendered, occurs at least once."""
    for index in range(0, len(portraits), 2):
        yield index, _pair(portraits, index - 1 if index + 1 == len(portraits) else index + 1, index, first)
