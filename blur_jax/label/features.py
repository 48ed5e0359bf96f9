"""Computes what the picker and the threshold need of each picture, in a process of its own, and keeps it in a cache.

    python -m blur_jax.label.features PHOTOS --checkpoint=RUN

The page starts this command in the background, so that JAX neither delays the page nor takes its memory.
"""

import argparse
import hashlib
import os
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from blur_jax.data import files, preprocessing, user_cache
from blur_jax.data.preprocessing import Preprocessing
from blur_jax.label.photos import Photo, Photos, version
from blur_jax.runs import command_line

MOST_PICTURES = 4000  # Pictures that pairs are drawn from; more would hardly teach more, but take memory and time.
_BATCH = 64


class Table(NamedTuple):
    """The pictures that were read, in order of their names.

    Attributes:
        names: n picture names.
        features: float32 [n, F], the inputs of the run's head; NaN for a picture that cannot be read.
        blur: float32 [n], the run's scores in [0, 1], larger is blurrier; NaN if the picture cannot be read.
        sizes: float32 [n], shorter side of the face in pixels; NaN if the picture cannot be read.
        fingerprint: identifies the parameters of the run.
        step: the number of updates that produced them.
        run: the run, as it was named.
        trained_on: the real path of the folder whose labels the run was trained on; "" if it is unknown.
        trained_by: a time, ISO 8601 in UTC, by which training had read the labels; "" if it is unknown.
    """

    names: list[str]
    features: np.ndarray
    blur: np.ndarray
    sizes: np.ndarray
    fingerprint: str
    step: int
    run: str
    trained_on: str = ""
    trained_by: str = ""


def pool(photos: Photos) -> list[Photo]:
    """Returns the pictures that pairs are drawn from: all, or a fixed sample of `MOST_PICTURES`, sorted by name."""
    chosen = sorted(photos.photos, key=lambda photo: hashlib.sha256(photo.name.encode()).digest())[:MOST_PICTURES]
    return sorted(chosen, key=lambda photo: photo.name)


def cache_path(folder: str, checkpoint: str) -> str:
    """Returns the path of the stored table for a folder and a run."""
    key = "\0".join([os.path.realpath(folder), os.path.realpath(checkpoint)])
    return os.path.join(user_cache.folder(), "labeling", f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz")


def read(path: str) -> Table | None:
    """Reads a stored table; returns None if there is none or it is damaged, so that it is computed again."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            texts = {name: str(stored[name]) for name in ("fingerprint", "run", "trained_on", "trained_by")}
            arrays = {name: stored[name] for name in ("features", "blur", "sizes")}
            table = Table([str(name) for name in stored["names"]], step=int(stored["step"]), **arrays, **texts)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    counts = {len(part) for part in (table.names, table.features, table.blur, table.sizes)}
    return table if len(counts) == 1 and table.features.ndim == 2 else None


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser("python -m blur_jax.label.features", description=__doc__)
    parser.add_argument("photos", metavar="PHOTOS")
    parser.add_argument("--checkpoint", metavar="RUN", required=True)
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this parent process has ended")
    return command_line.run(parser, _run, argv)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.parent is not None:
        threading.Thread(target=_end_with, args=(arguments.parent,), daemon=True).start()
    wanted, path = pool(Photos(arguments.photos)), cache_path(arguments.photos, arguments.checkpoint)
    opened = open_network(arguments.checkpoint)
    table, versions = _stored(path, opened.fingerprint), [f"{photo.name}\0{version(photo)}" for photo in wanted]
    rows: dict[str, tuple[np.ndarray, float, float]] = {}
    for start in range(0, len(wanted), _BATCH):
        part = range(start, min(start + _BATCH, len(wanted)))
        missing = [index for index in part if versions[index] not in table]
        rows |= {versions[index]: table[versions[index]] for index in part if versions[index] in table}
        found = _extract([wanted[index] for index in missing], opened.extract, opened.preprocessing)
        rows |= dict(zip((versions[index] for index in missing), found))
        print(f"{part.stop} {len(wanted)}", flush=True)
    known, names = zip(*(rows[key] for key in versions)), [photo.name for photo in wanted]
    columns = {name: np.array(values, np.float32) for name, values in zip(("features", "blur", "sizes"), known)}
    of_run = {field: getattr(opened, field) for field in ("fingerprint", "step", "trained_on", "trained_by")}
    _write(path, Table(names, run=arguments.checkpoint, **of_run, **columns), versions)
    return 0


def _end_with(parent: int) -> None:
    """Ends this process soon after its parent, which may be killed without a chance to end it."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _stored(path: str, fingerprint: str) -> dict[str, tuple[np.ndarray, float, float]]:
    """Returns {version: (features, blur, size)} of the pictures in the cache, if the same network computed them."""
    table = read(path)
    if table is None or table.fingerprint != fingerprint:
        return {}
    with np.load(path, allow_pickle=False) as stored:
        versions = [str(version) for version in stored["versions"]]
    return dict(zip(versions, zip(table.features, table.blur, table.sizes)))


class Opened(NamedTuple):
    """A run's network: `extract` maps uint8 [n, S, S, 3] to the features and the score, float32 [n, F + 1]."""

    extract: Callable[[np.ndarray], np.ndarray]
    preprocessing: Preprocessing
    fingerprint: str
    step: int
    trained_on: str  # As in `Table`.
    trained_by: str


def open_network(checkpoint: str) -> Opened:
    """Opens the best checkpoint of a run, or a scorer that comes with the package."""
    import jax
    import jax.numpy as jnp

    from blur_jax.models import network
    from blur_jax.runs import checkpoints, distributed, inference, program_cache, provenance, run_dir

    program_cache.keep_programs()
    distributed.divide_cpu()
    distributed.open_devices()
    saved = checkpoints.find(checkpoint)
    model, params = checkpoints.load_network(saved)

    def both(params: network.Params, images: jax.Array) -> jax.Array:
        features = model.apply({"params": params}, images, method="features")
        blur = model.apply({"params": params}, images)
        return jnp.concatenate([features, blur[:, None]], axis=1)  # ty: ignore[invalid-argument-type]

    run, placed = inference.make_map(both), distributed.replicate(params)
    labels = saved.config.data.manual_dir
    return Opened(
        lambda images: run(placed, images),
        saved.preprocessing,
        checkpoints.fingerprint(params),
        saved.step,
        os.path.realpath(user_cache.expand(labels)) if labels else "",
        provenance.data_read_by(run_dir.run_of(checkpoint)),
    )


def _extract(
    photos: Sequence[Photo], extract: Callable[[np.ndarray], np.ndarray], protocol: Preprocessing
) -> list[tuple[np.ndarray, float, float]]:
    """Returns (features, blur, size) of each picture; NaN if it cannot be read."""
    if not photos:
        return []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        prepared = list(threads.map(lambda photo: _prepare(photo, protocol), photos))
    side = protocol.image_size
    images = np.stack([np.zeros((side, side, 3), np.uint8) if item is None else item[0] for item in prepared])
    found = extract(images)
    found[[item is None for item in prepared]] = np.nan
    sizes = [np.nan if item is None else item[1] for item in prepared]
    return [(row[:-1], float(row[-1]), size) for row, size in zip(found, sizes)]


def _prepare(photo: Photo, protocol: Preprocessing) -> tuple[np.ndarray, float] | None:
    try:
        image = preprocessing.to_image(photo.path)
        size = min(photo.box[2:] if photo.box else image.size)
        return preprocessing.prepare(image, photo.box, protocol), float(size)
    except (OSError, ValueError):
        return None


def _write(path: str, table: Table, versions: Sequence[str]) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with files.replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, versions=np.array(versions), **table._asdict())


if __name__ == "__main__":
    sys.exit(main())
