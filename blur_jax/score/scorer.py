"""Scores pictures with the scorer that comes with the package or with a trained run, from a notebook or a program.

scorer = blur_jax.load_scorer()  # or a run: blur_jax.load_scorer("runs/demo")
scores = scorer.score(["a.jpg", "b.jpg"])
"""

import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from blur_jax.data import face_boxes, likeness, preprocessing
from blur_jax.data.pictures import MISSING, Picture
from blur_jax.data.preprocessing import Box
from blur_jax.export import onnx_backend
from blur_jax.metrics import calibration
from blur_jax.runs import checkpoints, distributed, forks, inference
from blur_jax.runs.threshold import Threshold, read_threshold
from blur_jax.score import flags, pipeline
from blur_jax.score import tiles as full_size
from blur_jax.score.pipeline import Pair, Prepared, Scored
from blur_jax.score.results import DISCARD, KEEP
from blur_jax.shipped import DEFAULT

_BACKENDS = ("xla", "onnx")
GivenPair = TypeVar("GivenPair", bound=Pair)


class Scorer:
    """Scores each picture from 0 (sharp) to 1 (blurred), independently of all other pictures.

    It uses all devices. In a program with several processes, all processes must make the same calls.

    A scorer is pickled by its path: the copy loads the checkpoint when it is first used, and raises ValueError if the
    parameters have changed. In a forked process, a scorer with backend "onnx" works; with "xla", it raises
    RuntimeError, because JAX would wait forever there.

    Attributes:
        preprocessing: the crop and resize protocol of the training data, applied to every picture.
        calibration: the meaning of the scores; None if the run was not calibrated.
        fingerprint: 16 hex digits that identify the parameters.
        config: the config of the run.
        step: the number of updates that produced the parameters.
        path: the folder of the checkpoint.
        backend: "xla" or "onnx"; see `load_scorer`.
    """

    def __init__(self, saved: checkpoints.Checkpoint, backend: str = "xla") -> None:
        """Loads the parameters; raises like `load_scorer`."""
        if backend not in _BACKENDS:
            raise ValueError(f"backend={backend!r} is unknown; use 'xla' or 'onnx'")
        model, params = distributed.everywhere(checkpoints.load_network, saved)
        self.preprocessing, self.calibration = saved.preprocessing, saved.calibration
        self.config, self.step, self.path, self.backend = saved.config, saved.step, saved.path, backend
        self.fingerprint = checkpoints.fingerprint(params)
        # `_forward(images, *, batch_size, progress)` maps uint8 [n, S, S, 3], n above 0, to float32 [n].
        if backend == "onnx":
            self._forward = onnx_backend.make(model, params, self.preprocessing.image_size)
        else:
            self._forward = functools.partial(inference.make_score(model), distributed.replicate(params))

    def __reduce__(self) -> tuple:
        return _Unpickled, (self.path, self.backend, self.fingerprint)

    @functools.cached_property
    def threshold(self) -> Threshold | None:
        """The run's threshold, or None; raises ValueError if it belongs to a different checkpoint."""
        return read_threshold(self.path, checkpoint=self.fingerprint)

    def score(
        self, pictures: Iterable[Picture], *, boxes: Iterable[Box | None] | None = None, batch_size: int = 64
    ) -> np.ndarray:
        """Scores pictures.

        Args:
            pictures: any number of file paths, file contents (bytes), PIL images, or uint8 or uint16 arrays of shape
                [H, W], [H, W, 3] or [H, W, 4], of any sizes. A generator is read as scoring proceeds.
            boxes: (x, y, width, height) of the face in each picture, in pixels of the upright picture; None means
                whole pictures.
            batch_size: pictures scored at a time; it does not change the scores.

        Returns:
            float32 [n], in [0, 1], larger is blurrier.

        Raises:
            FileNotFoundError: a picture is missing.
            ValueError: a picture cannot be read or scored, or a box extends beyond it; the message says which.
        """
        pairs, scores = _with_boxes(pictures, boxes), []
        # Keyed by name, so that a generator's pictures are dropped once they are prepared.
        named = ((f" ({p})" if isinstance(p, (str, os.PathLike)) else "", p, box) for p, box in pairs)
        for name, [scored] in self._score_each(named, batch_size):
            if scored.error is not None:
                kind = FileNotFoundError if scored.error == MISSING else ValueError
                raise kind(f"picture {len(scores)}{name}: {scored.error}")
            scores.append(scored.blur)
        return np.array(scores, np.float32)

    def score_each(
        self,
        pictures: Iterable[GivenPair],
        *,
        batch_size: int = 64,
        threads: int | None = None,
        looks: bool = False,
        tiles: bool = False,
        watch: Callable[[Picture, Box | None], object] | None = None,
    ) -> Iterator[tuple[GivenPair, Scored]]:
        """Scores a stream of any length; a bad picture yields a reason instead of a score.

        Pictures are read at most three batches ahead, and decoded in threads while the devices compute.

        Args:
            pictures: (picture, box) as in `score`. An in-memory picture is kept until it is yielded.
            batch_size: pictures scored at a time, 1 or more.
            threads: number of decoding threads, 1 or more; None means one per core. Each keeps a picture in memory.
            looks: whether to hash what the network sees of each picture, for `groups.find`.
            tiles: whether to also score each picture at full size; not supported in a program with several processes.
            watch: called with each picture and box, in a thread, before the picture is read.

        Yields:
            ((picture, box), result), in order.
        """
        keyed = ((pair, *pair) for pair in pictures)
        scored = self._score_each(keyed, batch_size, threads, looks=looks, tiles=tiles, watch=watch)
        return ((pair, result) for pair, [result] in scored)

    def score_faces(
        self, pictures: Iterable[GivenPair], *, batch_size: int = 64, threads: int | None = None, **extras: Any
    ) -> Iterator[tuple[GivenPair, list[Scored]]]:
        """Scores every face found in a stream of pictures; takes the arguments of `score_each`.

        Yields:
            ((picture, box), results), in order. If the box is None, `results` has one result for each face that
            `face_boxes.find_judgeable` finds, or one whose error is `face_boxes.NO_FACE`. For a picture with a box,
            and for a bad picture, it has the one result of `score_each`.

        Raises:
            FileNotFoundError, ImportError, ValueError: as in `face_boxes.check`.
        """
        face_boxes.check()
        return self._score_each(((pair, *pair) for pair in pictures), batch_size, threads, find_faces=True, **extras)

    def _score_each(
        self, pictures: Iterable[tuple], batch_size: int, threads: int | None = None, **extras: Any
    ) -> Iterator[tuple]:
        if self.backend == "xla":
            forks.check()  # In a thread, the error would be blamed on a picture.
        run = self._forward  # Loads an unpickled scorer.
        device = threading.Lock()  # Tiles are scored in the threads that decode; devices take one batch at a time.

        def forward(images: np.ndarray) -> np.ndarray:
            with device:
                return run(images, batch_size=batch_size, progress=None)

        prepare = functools.partial(self._prepare_and_describe, forward=forward, **extras)
        return pipeline.score_each(pictures, prepare, forward, batch_size=batch_size, threads=threads)

    def _prepare_and_describe(
        self,
        picture: Picture,
        box: Box | None,
        *,
        forward: Callable,
        looks: bool = False,
        tiles: bool = False,
        watch: Callable | None = None,
        find_faces: bool = False,
    ) -> list[Prepared]:
        if watch is not None:
            watch(picture, box)
        whole = preprocessing.to_image(picture)
        faces = face_boxes.find_judgeable(whole, self.preprocessing) if find_faces and box is None else [None]
        prepared = []
        for face in faces:
            box = box if face is None else face.box
            image = self.prepare(whole, box)
            described = Prepared(
                image,
                reduction=preprocessing.reduction(whole.size, box, self.preprocessing),
                flags=flags.find(image),
                look=likeness.look(Image.fromarray(image)) if looks else None,
                tiles=full_size.score(whole, box, self.preprocessing, forward) if tiles else None,
                face=face,
            )
            prepared.append(described)
        return prepared

    def prepare(self, picture: Picture, box: Box | None = None) -> np.ndarray:
        """Crops and resizes a picture as in training; see `preprocessing.prepare`."""
        return preprocessing.prepare(picture, box, self.preprocessing)

    def score_images(self, images: np.ndarray, *, batch_size: int = 256, progress: str | None = None) -> np.ndarray:
        """Scores images that `prepare` returns: uint8 [n, S, S, 3] -> float32 [n], in [0, 1], larger is blurrier.

        `batch_size` is the total over all devices; `progress` labels a bar. Raises ValueError for other images.
        """
        side = self.preprocessing.image_size
        if images.dtype != np.uint8 or images.shape[1:] != (side, side, 3):
            raise ValueError(
                f"images must be uint8 [n, {side}, {side}, 3], not {images.dtype} {list(images.shape)};"
                " prepare them with Scorer.prepare"
            )
        if not len(images):
            return np.zeros(0, np.float32)
        return self._forward(images, batch_size=batch_size, progress=progress)

    def columns(
        self, blur: np.ndarray, *, anchor: float | None = None, keep_below: float | None = None
    ) -> dict[str, np.ndarray]:
        """Returns the columns of a score table, {column: [n]}; see `calibration.to_columns`.

        Args:
            blur: float32 [n], scores of this scorer; NaN for a missing score.
            anchor: a score to compare with; None means the median of the calibration's reference.
            keep_below: a threshold; None means the run's own. With a threshold the last column is "keep": "keep"
                if blur < keep_below, else "discard"; "" for a missing score.
        """
        columns = calibration.to_columns(blur, self.calibration, anchor=anchor)
        if keep_below is None and self.threshold is not None:
            keep_below = self.threshold.keep_below
        if keep_below is not None:
            columns["keep"] = np.where(np.isnan(blur), "", np.where(blur < keep_below, KEEP, DISCARD))
        return columns


class _Unpickled(Scorer):
    """A scorer that becomes a `Scorer` on first use: `multiprocessing.Pool` hangs if unpickling raises an error."""

    def __init__(self, path: str, backend: str, fingerprint: str) -> None:
        self.path, self.backend, self.fingerprint = path, backend, fingerprint

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python and libraries look up optional methods.
            raise AttributeError(name)
        loaded = load_scorer(self.path, backend=self.backend)
        if loaded.fingerprint != self.fingerprint:
            raise ValueError(
                f"{self.path}: the parameters ({loaded.fingerprint}) differ from those of the pickled scorer"
                f" ({self.fingerprint}); load the scorer again and pass the new one"
            )
        self.__dict__ = loaded.__dict__
        self.__class__ = Scorer  # ty: ignore[invalid-assignment]
        return getattr(self, name)


def _with_boxes(pictures: Iterable[Picture], boxes: Iterable[Box | None] | None) -> Iterator[Pair]:
    """Pairs pictures with boxes; checks both before anything is scored."""
    single = isinstance(pictures, (str, bytes, os.PathLike, Image.Image))
    if single or (isinstance(pictures, np.ndarray) and pictures.ndim < 4) or not isinstance(pictures, Iterable):
        raise ValueError(
            f"score takes a list of pictures, not {type(pictures).__name__}; pass [picture] for a single picture or"
            " sorted(pathlib.Path(folder).glob('*.jpg')) for a folder"
        )
    if boxes is None:
        return zip(pictures, itertools.repeat(None))
    if isinstance(pictures, Sized) and isinstance(boxes, Sized) and len(pictures) != len(boxes):
        raise ValueError(f"score got {len(boxes)} boxes for {len(pictures)} pictures; supply one box or None for each")
    return _joined(pictures, boxes)


def _joined(pictures: Iterable[Picture], boxes: Iterable[Box | None]) -> Iterator[Pair]:
    nothing: Any = object()
    for picture, box in itertools.zip_longest(pictures, boxes, fillvalue=nothing):
        if picture is nothing or box is nothing:
            more = "boxes than pictures" if picture is nothing else "pictures than boxes"
            raise ValueError(f"score got more {more}; supply one box or None for each picture")
        yield picture, box


def load_scorer(path: str | os.PathLike = DEFAULT, *, backend: str = "xla") -> Scorer:
    """Loads a scorer on any machine, regardless of the devices that trained it.

    Args:
        path: a run directory, for its best checkpoint by validation, or one of its `checkpoints/<step>`; by default,
            the scorer that comes with the package.
        backend: "xla" uses all devices; "onnx" uses onnxruntime on the CPU, which is faster for some networks
            (docs/export.md) and returns the same scores to within 1e-5.

    Raises:
        checkpoints.CheckpointError: no checkpoint is usable.
        ImportError: the backend needs a package in the `export` extra.
        RuntimeError: this process was forked after JAX had been used.
        ValueError: the backend is unknown.
    """
    return Scorer(checkpoints.find(path), backend)
