"""Maps Label Studio's image references to picture names in a folder."""

import base64
import os
import re
import urllib.parse
from typing import Any

from blur_jax.data.untrusted import excerpt
from tfds_builders.folder_face_blur.layout import read_layout

_UPLOAD = re.compile(r"^[0-9a-f]{8}-")  # The prefix that Label Studio adds to an uploaded file's name.


class Names:
    """Finds the pictures in the folder `photos`, which has the layout of `folder_face_blur`.

    A reference has a path: the path of a URL or bucket address, the `d` of a local file, or the target of a resolve
    link. The name is the longest path ending, starting after a slash, that exists in the folder; an uploaded file has
    only its file name. With a prefix, the name is exactly the text after the prefix.
    """

    def __init__(self, photos: str | os.PathLike, strip_prefix: str | None = None) -> None:
        self._layout, self._prefix = read_layout(photos), strip_prefix
        self._uploaded, self._taken = {}, {}
        self._deepest = 1 + max((name.count("/") for name in self._layout.paths), default=0)
        for name in self._layout.paths:
            self._uploaded.setdefault(_as_uploaded(name.rpartition("/")[2]), []).append(name)

    def find(self, data: dict[str, Any], key: str) -> str:
        """Returns the name of the picture under `key` in a task's data.

        Raises:
            ValueError: the picture is not in the task or the folder, the folder has several candidates, or another
                reference has the same name.
        """
        reference = data.get(key)
        if not isinstance(reference, str):
            raise ValueError(f"the data have no picture {key!r}; they have {excerpt(list(data))}")
        name = self._find(reference)
        if name is None:
            raise ValueError(
                f"{excerpt(reference)} is not a picture in {self._layout.root}; add it to that folder, or use"
                " --strip-prefix to remove the text that precedes the file name"
            )
        if self._taken.setdefault(name, _path(reference)) != _path(reference):
            raise ValueError(
                f"{excerpt(reference)} and {excerpt(self._taken[name])} would both be named {name!r}; use"
                " --strip-prefix to tell them apart"
            )
        return name

    def _find(self, reference: str) -> str | None:
        if self._prefix is not None:
            for text in (reference, _path(reference)):
                if text.startswith(self._prefix):
                    return self._layout.find(urllib.parse.unquote(text.removeprefix(self._prefix)).lstrip("/"))
            return None
        parts = _path(reference).strip("/").split("/")
        # Keeps a reference with many slashes from taking quadratic time.
        for start in range(max(0, len(parts) - self._deepest), len(parts)):
            if name := self._layout.find("/".join(parts[start:])):
                return name
        uploaded = self._uploaded.get(_UPLOAD.sub("", parts[-1]), []) if "upload" in parts else []
        return uploaded[0] if len(uploaded) == 1 else None


def _path(reference: str) -> str:
    """Returns the decoded path of a reference."""
    url = urllib.parse.urlsplit(reference)
    query = urllib.parse.parse_qs(url.query)
    if "fileuri" in query:  # /tasks/7/resolve/?fileuri=..., base64 of the address in a bucket.
        text = query["fileuri"][0]
        return _path(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("utf-8", "replace"))
    if "d" in query and url.path.rstrip("/").endswith("local-files"):
        return query["d"][0]
    # In a bucket address the path may contain '?' and '#'; in a web address they end it.
    path = url.path if url.scheme in ("", "http", "https") else reference.partition("://")[2]
    return urllib.parse.unquote(path)


def _as_uploaded(name: str) -> str:
    """Returns the name that Label Studio gives an uploaded file, without its prefix (Django's get_valid_filename)."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))
