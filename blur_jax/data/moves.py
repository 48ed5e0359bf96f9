"""Copies and moves files without overwriting or losing any, even if the process is killed."""

import contextlib
import errno
import os
import shutil

from blur_jax.data import contents, files

# The file system has no hard links, or refuses one to this file.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def copy(source: str, target: str, temporary: str) -> None:
    """Copies a file, or the file that a link leads to, with its mode and times.

    `target` appears only when the copy is complete, equal to the source and on disk. `temporary` is the path of a file
    in the same folder; such a file is replaced, and removed at the end.

    Raises:
        OSError: `target` exists, or the file cannot be copied.
    """
    discard(temporary)
    try:
        with files.naming(target):
            shutil.copyfile(source, temporary)
            with open(temporary, "rb+") as file:
                shutil.copystat(source, temporary)
                os.fsync(file.fileno())
        if not same_content(source, temporary):
            raise OSError(errno.EIO, "the copy differs from the file, which may have changed meanwhile", source)
        _rename(temporary, target)
        sync_folder(os.path.dirname(target))
    finally:
        discard(temporary)


def move(source: str, target: str, temporary: str) -> None:
    """Moves a regular file; to another file system, copies it as `copy` does, and then removes it.

    Raises:
        OSError: `target` exists, or the file cannot be moved; the source remains.
    """
    try:
        _rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy(source, target, temporary)
        os.unlink(source)


def remove_duplicate(extra: str, kept: str) -> bool:
    """Removes the file `extra` if `kept` has the same content; returns whether it did.

    Two paths of one file, such as one through a link, are not duplicates.
    """
    if os.path.realpath(extra) == os.path.realpath(kept) or not same_content(extra, kept):
        return False
    if os.path.samefile(extra, kept) and os.stat(extra).st_nlink < 2:  # The folder is mounted twice.
        return False
    os.unlink(extra)
    return True


def same_content(left: str, right: str) -> bool:
    """Returns whether two regular files can be read and have the same bytes."""
    content = contents.content(left)
    return content is not None and content == contents.content(right)


def discard(path: str) -> None:
    """Removes a file if it exists."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def sync_folder(folder: str) -> None:
    """Makes new names in a folder survive a power failure, where the file system can."""
    with contextlib.suppress(OSError):
        files.sync_folder(folder)


def _rename(source: str, target: str) -> None:
    """Renames a regular file; unlike `os.rename`, raises FileExistsError if `target` exists.

    A kill may leave both names.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from error
        os.rename(source, target)  # May overwrite a file that appears just now; Python offers nothing better.
        return
    try:
        os.unlink(source)
    except OSError:  # The source's folder is read-only.
        os.unlink(target)
        raise
