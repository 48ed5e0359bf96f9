"""A stream of pictures through threads that decode and devices that score, in order and in bounded memory."""

import collections
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np

from blur_jax.data.pictures import MISSING, Picture
from blur_jax.data.preprocessing import Box

Pair = tuple[Picture, Box | None]
Key = TypeVar("Key")

_AHEAD = 3  # Batches in progress at a time.


class Scored(NamedTuple):
    """The score of a picture, or why it has none: one of the two is None.

    Attributes:
        blur: in [0, 1], larger is blurrier.
        error: a reason, for people, that does not name the picture.
    """

    blur: float | None
    error: str | None


def score_each(
    pictures: Iterable[tuple[Key, Picture, Box | None]],
    prepare: Callable[[Picture, Box | None], np.ndarray],
    forward: Callable[[np.ndarray], np.ndarray],
    *,
    batch_size: int,
    threads: int | None = None,
) -> Iterator[tuple[Key, Scored]]:
    """Scores a stream of pictures, reading at most three batches ahead.

    Args:
        pictures: (key, picture, box). The key comes back with the score; the picture is dropped once it is prepared.
        prepare: from a picture and a box to uint8 [S, S, 3]; called in threads. What it raises becomes an error.
        forward: from uint8 [n, S, S, 3] to float32 [n]; called in one thread, a batch at a time.
        batch_size: images in a batch.
        threads: how many prepare; None takes one for each core. Each holds a whole picture in memory.

    Yields:
        (key, result), in the order of `pictures`.

    Raises:
        ValueError: the batch size or the number of threads is not above 0.
    """
    threads = available_cores() if threads is None else threads
    if batch_size < 1 or threads < 1:
        raise ValueError(f"batch size and threads must be 1 or more, not {batch_size} and {threads}")
    return _score_each(iter(pictures), prepare, forward, batch_size, threads)


def _score_each(
    pictures: Iterator[tuple], prepare: Callable, forward: Callable, batch_size: int, threads: int
) -> Iterator[tuple[Any, Scored]]:
    free = threading.Semaphore(2 * threads)  # Bounds the pictures that are taken but not cut down to S x S yet.
    running = collections.deque()
    pool, device = ThreadPoolExecutor(threads), ThreadPoolExecutor(1)

    def submit(key: Any, picture: Picture, box: Box | None) -> tuple[Any, Future]:
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
            yield from running.popleft().result()
    finally:
        # The images first: a batch waits for its images.
        pool.shutdown(cancel_futures=True)
        device.shutdown(cancel_futures=True)


def _try(prepare: Callable, picture: Picture, box: Box | None) -> np.ndarray | str:
    """Returns the image, or why there is none."""
    try:
        return prepare(picture, box)
    except FileNotFoundError:
        return MISSING
    except ValueError as error:
        return str(error)
    except Exception as error:  # One picture in millions must not stop the others.
        return f"unexpected error: {type(error).__name__}: {error}"


def _score_batch(batch: Sequence[tuple[Any, Future]], forward: Callable) -> list[tuple[Any, Scored]]:
    keys, futures = zip(*batch)
    prepared = [future.result() for future in futures]
    errors = [image if isinstance(image, str) else None for image in prepared]
    if all(errors):
        return [(key, Scored(None, error)) for key, error in zip(keys, errors)]
    # Bad pictures keep their places, so an interrupted run has the same batches as an undisturbed one.
    black = np.zeros_like(prepared[errors.index(None)])
    blur = forward(np.stack([image if error is None else black for image, error in zip(prepared, errors)])).tolist()
    scored = [Scored(value, None) if error is None else Scored(None, error) for value, error in zip(blur, errors)]
    return list(zip(keys, scored))


def available_cores() -> int:
    """Returns how many cores this process may use, which a batch system may have limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
