"""Unpacks a run from a zip or tar archive of a run directory, on disk or at a URL."""

import hashlib
import http.client
import os
import shutil
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterable
from typing import IO, cast

from blur_jax.data import user_cache
from blur_jax.data.untrusted import reason

_SCHEMES = ("http://", "https://", "file://")
_MOST_BYTES = 16 * 2**30  # Largest size of an unpacked archive.
_OTHER_FORMATS = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard",
    **dict.fromkeys((b"\x1f\x8b", b"BZh", b"\xfd7zXZ"), "compressed, but damaged or not a tar archive"),
}


class _Refusal(ValueError):
    """An archive is refused; the message says why and what to do."""


def fetch_run(source: str | os.PathLike, into: str | os.PathLike) -> str:
    """Downloads and unpacks a run, unless it is already a folder; returns its path.

    `source` is a run directory or one of its checkpoints, on disk or in a bucket, which is returned unchanged, or a
    `.zip` or `.tar` archive (compressed or not) of one, on disk or at an http, https or file URL. Archives are
    unpacked in the folder `into`, which is created if needed. Raises ValueError if the source cannot be downloaded or
    unpacked or does not contain exactly one run, or a tar member lies outside it, and OSError if `into` cannot be
    created.
    """
    source, into = os.fspath(source), os.path.abspath(user_cache.expand(into))
    if source.startswith(_SCHEMES):
        with tempfile.NamedTemporaryFile(prefix="blur_jax_") as file:
            try:
                with urllib.request.urlopen(source, timeout=60) as stream:
                    shutil.copyfileobj(stream, file)
                    size = stream.headers.get("Content-Length", "")
                if size.isdecimal() and file.tell() < int(size):
                    raise ValueError(f"received only {file.tell():,} of {int(size):,} bytes; try again")
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise ValueError(f"{source}: cannot be downloaded ({reason(error)})") from error
            file.flush()
            return _unpack(file.name, into, source)
    path = user_cache.expand(source)
    return _unpack(path, into, source) if os.path.isfile(path) else source


def _unpack(path: str, into: str, source: str) -> str:
    """Unpacks an archive atomically; error messages show `source` instead of `path`."""
    os.makedirs(into, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacking_", dir=into) as folder:
        try:
            _extract_zip(path, folder) if zipfile.is_zipfile(path) else _extract_tar(path, folder)
            run = _find_run(folder)
        except _Refusal as error:
            raise ValueError(f"{source}: {error}") from error
        except Exception as error:  # zipfile, tarfile and their decompressors raise more types than they document.
            remedy = "" if getattr(error, "errno", None) else "; download it again, or pack the run again"
            raise ValueError(f"{source}: cannot be unpacked ({reason(error)}){remedy}") from error
        # The name ends in a digest of the source, so only an earlier call can have created a folder with this name.
        name = os.path.basename(run) if run != folder else "run"
        target = os.path.join(into, f"{name}-{hashlib.sha256(source.encode()).hexdigest()[:8]}")
        if os.path.lexists(target):
            shutil.rmtree(target)
        shutil.move(run, target) if run != folder else shutil.copytree(run, target)
    return target


def _extract_zip(path: str, folder: str) -> None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        _check_size(member.file_size for member in members)
        if any(member.flag_bits & 1 for member in members):
            raise _Refusal("the zip archive is encrypted; pack the run again without a password")
        for member in members:
            member.filename = _with_slashes(member.filename)
            archive.extract(member, folder)  # Drops ".." and the root from the name, so files stay inside.


def _extract_tar(path: str, folder: str) -> None:
    try:
        archive = tarfile.open(path)
    except tarfile.TarError as error:
        raise _Refusal(_why_no_archive(path)) from error
    with archive:
        _check_size(member.size for member in archive.getmembers())
        # A tar archive ends with a block of zeros, but tarfile also stops at a damaged header or a missing end.
        stream = cast(IO[bytes], archive.fileobj)
        stream.seek(archive.offset)
        if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise _Refusal("the tar archive is truncated or damaged; download it again, or pack the run again")
        while stream.read(1 << 20):  # Reaches the checksum at the end of a compressed archive.
            pass
        archive.extractall(folder, filter=_inside)


def _inside(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    return tarfile.data_filter(member.replace(name=_with_slashes(member.name), deep=False), folder)


def _with_slashes(name: str) -> str:
    """Returns a member's name with slashes; some Windows programs write backslashes."""
    return name.replace("\\", "/")


def _why_no_archive(path: str) -> str:
    with open(path, "rb") as file:
        start = file.read(tarfile.BLOCKSIZE)
    if not start:
        return "the file is empty; download it again, or pack the run again"
    for kind, cut in (("zip", start.startswith(b"PK")), ("tar", start[257:262] == b"ustar")):
        if cut:
            return f"the {kind} archive is truncated or damaged; download it again, or pack the run again"
    for magic, kind in _OTHER_FORMATS.items():
        if start.startswith(magic):
            return f"it is {kind}; pack the run again as .zip or .tar.gz"
    page = start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    return f"it is not a zip or tar archive{' (perhaps a login page)' * page}"


def _check_size(sizes: Iterable[int]) -> None:
    total = sum(sizes)
    if total > _MOST_BYTES:
        limit = _MOST_BYTES / 2**30
        raise _Refusal(f"it would unpack to {total / 2**30:.1f} GiB; the limit is {limit:.0f} GiB")


def _find_run(folder: str) -> str:
    """Returns the only folder that is a run or a checkpoint."""
    runs = []
    for path, folders, _ in os.walk(folder):
        folders[:] = [name for name in folders if name != "__MACOSX"]  # Added by macOS.
        if "checkpoints" in folders or "meta" in folders:
            runs.append(path)
            folders.clear()  # Its subfolders belong to the run.
        folders.sort()
    if len(runs) != 1:
        names = ", ".join(os.path.relpath(path, folder) for path in runs)
        raise _Refusal(
            f"it contains {len(runs)} runs{': ' * bool(runs)}{names}; it must contain exactly one run directory"
        )
    return runs[0]
