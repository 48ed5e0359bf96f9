"""From Label Studio's references to pictures to the names that a folder has for them."""

import base64
import os
import re
import urllib.parse
from typing import Any

from blur_jax.data.untrusted import excerpt
from tfds_builders.folder_face_blur.layout import read_layout

_UPLOAD = re.compile(r"^[0-9a-f]{8}-")  # What Label Studio puts in front of an uploaded file's name.


class Names:
    """Finds the pictures of a folder.

    A reference has a path: that of a URL or bucket address, the `d` of a local file, or the file that a resolve link
    stands for. The name is the longest end of the path, from a slash on, that the folder has; an uploaded file is known
    by its own name alone. With a prefix, the name is what follows it, and nothing else is tried.
    """

    def __init__(self, photos: str | os.PathLike, strip_prefix: str | None = None) -> None:
        """Looks into the folder `photos`, laid out as `folder_face_blur` reads it."""
        self._layout, self._prefix = read_layout(photos), strip_prefix
        self._uploaded, self._taken = {}, {}
        self._deepest = 1 + max((name.count("/") for name in self._layout.paths), default=0)
        for name in self._layout.paths:
            self._uploaded.setdefault(_as_uploaded(name.rpartition("/")[2]), []).append(name)

    def find(self, data: dict[str, Any], key: str) -> str:
        """Returns the name of a picture of a task.

        Args:
            data: the task's data.
            key: which of its pictures.

        Raises:
            ValueError: the task has no such picture, or the folder has none, or several that it may be, or another
                reference was taken for the same one.
        """
        reference = data.get(key)
        if not isinstance(reference, str):
            raise ValueError(f"the data have no picture {key!r}; they have {excerpt(list(data))}")
        name = self._find(reference)
        if name is None:
            raise ValueError(
                f"{excerpt(reference)} is no picture of {self._layout.root}; put it there, or give what precedes its"
                " name as --strip-prefix"
            )
        if self._taken.setdefault(name, _path(reference)) != _path(reference):
            raise ValueError(
                f"{excerpt(reference)} and {excerpt(self._taken[name])} would both be {name!r}; give --strip-prefix"
            )
        return name

    def _find(self, reference: str) -> str | None:
        if self._prefix is not None:
            for text in (reference, _path(reference)):
                if text.startswith(self._prefix):
                    return self._layout.find(urllib.parse.unquote(text.removeprefix(self._prefix)).lstrip("/"))
            return None
        parts = _path(reference).strip("/").split("/")
        # A reference of slashes alone must not cost their square.
        for start in range(max(0, len(parts) - self._deepest), len(parts)):
            if found := self._layout.find("/".join(parts[start:])):
                return found
        alike = self._uploaded.get(_UPLOAD.sub("", parts[-1]), []) if "upload" in parts else []
        return alike[0] if len(alike) == 1 else None


def _path(reference: str) -> str:
    """Returns the path that a reference ends in, decoded."""
    url = urllib.parse.urlsplit(reference)
    query = urllib.parse.parse_qs(url.query)
    if "fileuri" in query:  # /tasks/7/resolve/?fileuri=..., base64 of the address in a bucket.
        text = query["fileuri"][0]
        return _path(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("utf-8", "replace"))
    if "d" in query and url.path.rstrip("/").endswith("local-files"):
        return query["d"][0]
    # An address in a bucket may hold '?' and '#'; of a web address they end the path.
    path = url.path if url.scheme in ("", "http", "https") else reference.partition("://")[2]
    return urllib.parse.unquote(path)


def _as_uploaded(name: str) -> str:
    """The name that Label Studio gives an uploaded file, its prefix aside: that of Django's get_valid_filename."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))
