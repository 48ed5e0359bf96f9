"""Unpacks a run from a zip or tar archive of a run directory, on disk or at a URL."""

import hashlib
import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable

from blur_jax.data import user_cache

_SCHEMES = ("http://", "https://", "file://")
_MOST_BYTES = 16 * 2**30  # The maximum size of an unpacked archive.


def fetch_run(source: str | os.PathLike, into: str | os.PathLike) -> str:
    """Downloads and unpacks a run, unless it is already a folder; returns its path.

    `source` is a run directory or one of its checkpoints, on disk or in a bucket, which is returned unchanged, or a
    `.zip` or `.tar` archive (compressed or not) of it, on disk or at an http, https or file URL. Archives are unpacked
    into the folder `into`, which is created if needed. Raises ValueError if the archive does not contain exactly one
    run or a tar member points outside it, and OSError if the archive cannot be read or `into` cannot be written.
    """
    source, into = os.fspath(source), os.path.abspath(user_cache.expand(into))
    if source.startswith(_SCHEMES):
        with tempfile.NamedTemporaryFile(prefix="blur_jax_") as file:
            try:
                with urllib.request.urlopen(source, timeout=60) as stream:
                    shutil.copyfileobj(stream, file)
            except (urllib.error.URLError, ValueError) as error:
                raise ValueError(f"{source}: cannot be fetched ({error})") from error
            file.flush()
            return _unpack(file.name, into, source)
    path = user_cache.expand(source)
    return _unpack(path, into, source) if os.path.isfile(path) else source


def _unpack(path: str, into: str, source: str) -> str:
    """Unpacks an archive atomically; error messages show `source` instead of `path`."""
    os.makedirs(into, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacking_", dir=into) as folder:
        try:
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    _check_size(member.file_size for member in archive.infolist())
                    archive.extractall(folder)  # Drops ".." and the root from names, so all files stay inside.
            elif tarfile.is_tarfile(path):
                with tarfile.open(path) as archive:
                    _check_size(member.size for member in archive.getmembers())
                    archive.extractall(folder, filter="data")
            else:
                raise ValueError("neither a zip nor a tar archive (perhaps it is a login page)")
            run = _find_run(folder)
        except (ValueError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
            raise ValueError(f"{source}: {error}") from error
        # The name ends with a digest of the source, so only an earlier call can have made a folder with this name.
        name = os.path.basename(run) if run != folder else "run"
        target = os.path.join(into, f"{name}-{hashlib.sha256(source.encode()).hexdigest()[:8]}")
        if os.path.lexists(target):
            shutil.rmtree(target)
        shutil.move(run, target) if run != folder else shutil.copytree(run, target)
    return target


def _check_size(sizes: Iterable[int]) -> None:
    total = sum(sizes)
    if total > _MOST_BYTES:
        limit = _MOST_BYTES / 2**30
        raise ValueError(f"it would unpack to {total / 2**30:.1f} GiB; the limit is {limit:.0f} GiB")


def _find_run(folder: str) -> str:
    """Returns the only folder that is a run, or a checkpoint of a run."""
    runs = []
    for path, folders, _ in os.walk(folder):
        folders[:] = [name for name in folders if name != "__MACOSX"]  # Added by macOS.
        if "checkpoints" in folders or "meta" in folders:
            runs.append(path)
            folders.clear()  # Its subfolders belong to the run.
        folders.sort()
    if len(runs) != 1:
        names = ", ".join(os.path.relpath(path, folder) for path in runs)
        raise ValueError(
            f"it contains {len(runs)} runs{': ' * bool(runs)}{names}; it must contain exactly one run directory"
        )
    return runs[0]
