"""Scores a stream of pictures in order, using bounded memory: threads decode while devices score."""

import collections
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np

from blur_jax.data import names
from blur_jax.data.face_boxes import Face
from blur_jax.data.pictures import Picture, why_unusable
from blur_jax.data.preprocessing import Box
from blur_jax.score.tiles import Tiles

Pair = tuple[Picture, Box | None]
Key = TypeVar("Key")

_AHEAD = 3  # Batches in progress at a time.


class Scored(NamedTuple):
    """The result for a picture, or for a face in it.

    Attributes:
        blur: a score in [0, 1], larger is blurrier; None if it is missing.
        error: why the score is missing, or None. Without a score, all other attributes are None.
        reduction: picture pixels per pixel that the network sees, along each side; see `preprocessing.reduction`.
        flags: reasons why the score is meaningless, from `flags.find`; usually "".
        look: a hash of what the network sees, from `likeness.look`; None unless requested.
        tiles: scores at full size; None unless requested.
        face: the face that was found; None if the box was supplied or the whole picture is scored.
    """

    blur: float | None
    error: str | None
    reduction: float | None = None
    flags: str | None = None
    look: str | None = None
    tiles: Tiles | None = None
    face: Face | None = None


class Prepared(NamedTuple):
    """An image, uint8 [S, S, 3], and the fields of `Scored` that do not depend on its score."""

    image: np.ndarray
    reduction: float | None = None
    flags: str | None = None
    look: str | None = None
    tiles: Tiles | None = None
    face: Face | None = None


def score_each(
    pictures: Iterable[tuple[Key, Picture, Box | None]],
    prepare: Callable[[Picture, Box | None], Sequence[Prepared]],
    forward: Callable[[np.ndarray], np.ndarray],
    *,
    batch_size: int,
    threads: int | None = None,
) -> Iterator[tuple[Key, list[Scored]]]:
    """Scores a stream of (key, picture, box) in order, reading at most three batches ahead, and yields (key, results).

    Args:
        pictures: the stream; a picture is dropped once it is prepared.
        prepare: prepares a picture and a box, which yield one or more images; called in threads. An exception becomes
            the `error` of the only result.
        forward: maps uint8 [n, S, S, 3] to float32 [n]; called in one thread.
        batch_size: pictures per batch, 1 or more.
        threads: number of preparing threads, 1 or more; None means one per core. Each keeps one picture in memory.
    """
    threads = available_cores() if threads is None else threads
    if batch_size < 1 or threads < 1:
        raise ValueError(f"batch size and threads must be 1 or more, not {batch_size} and {threads}")
    return _score_each(iter(pictures), prepare, forward, batch_size, threads)


def _score_each(
    pictures: Iterator[tuple], prepare: Callable, forward: Callable, batch_size: int, threads: int
) -> Iterator[tuple[Any, list[Scored]]]:
    free = threading.Semaphore(2 * threads)  # Limits the number of full-size pictures in memory.
    running, process = collections.deque(), os.getpid()
    pool, device = ThreadPoolExecutor(threads), ThreadPoolExecutor(1)

    def check_process() -> None:
        if os.getpid() != process:
            raise RuntimeError("score_each was called before this process was forked; call it in this process")

    def submit(key: Any, picture: Picture, box: Box | None) -> tuple[Any, Future]:
        check_process()
        free.acquire()
        future = pool.submit(_try, prepare, picture, box)
        future.add_done_callback(lambda _: free.release())
        return key, future

    try:
        while batch := [submit(*picture) for picture in itertools.islice(pictures, batch_size)]:
            running.append(device.submit(_score_batch, batch, forward))
            if len(running) == _AHEAD:
                yield from running.popleft().result()
        while running:
            check_process()
            yield from running.popleft().result()
    finally:
        # A batch waits for its images, so shut down the pool that prepares them first.
        pool.shutdown(cancel_futures=True)
        device.shutdown(cancel_futures=True)


def _try(prepare: Callable, picture: Picture, box: Box | None) -> Sequence[Prepared] | str:
    try:
        return prepare(picture, box)
    except Exception as error:  # One bad picture must not stop millions of others.
        missing = isinstance(error, FileNotFoundError) and isinstance(picture, (str, os.PathLike))
        return why_unusable(error) + (names.hint(os.fspath(picture)) if missing else "")


def _score_batch(batch: Sequence[tuple[Any, Future]], forward: Callable) -> list[tuple[Any, list[Scored]]]:
    keys, futures = zip(*batch)
    prepared = [future.result() for future in futures]
    errors = [result if isinstance(result, str) else None for result in prepared]
    if all(errors):
        return [(key, [Scored(None, error)]) for key, error in zip(keys, errors)]
    # Black images replace bad pictures, so that an interruption does not change the batches.
    black = [Prepared(np.zeros_like(prepared[errors.index(None)][0].image))]
    good = [results if error is None else black for results, error in zip(prepared, errors)]
    blur = iter(forward(np.stack([result.image for results in good for result in results])).tolist())
    scored = [[Scored(next(blur), None, *result[1:]) for result in results] for results in good]
    return [
        (key, results if error is None else [Scored(None, error)]) for key, results, error in zip(keys, scored, errors)
    ]


def available_cores() -> int:
    """Returns the number of cores that this process may use, which a batch system may limit."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
