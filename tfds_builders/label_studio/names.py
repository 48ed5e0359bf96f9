"""Maps Label Studio's image references to picture names in a folder."""

import base64
import os
import re
import urllib.parse
from typing import Any

from blur_jax.data.untrusted import LONGEST_LINE, excerpt
from tfds_builders.folder_face_blur.layout import read_layout

_UPLOAD = re.compile(r"^[0-9a-f]{8}-")  # The prefix that Label Studio adds to the name of an uploaded file.
_RESOLVED = re.compile(r"[?&]fileuri=([^&#]*)")  # /tasks/7/resolve/?fileuri=...
# /data/local-files/?d=..., /storage-data/uploaded/?filepath=...
_SERVED = re.compile(r"(?:local-files|storage-data/uploaded)/?\?(?:.*?&)?(?:d|filepath)=(.*)", re.DOTALL)
_WEB = re.compile(r"https?://[^/]*(.*)", re.DOTALL | re.IGNORECASE)


class Names:
    """Finds pictures in the folder `photos`, which has the layout of `folder_face_blur`.

    A reference contains a path: the path of a URL or bucket address, the `d` of a local file, or the target of a
    resolve link. Its encoding is unknown, so it is read in all possible ways: plain, percent-encoded, with backslashes.
    The picture's name is the longest trailing part of a reading that exists in the folder; for an uploaded file, only
    the file name is compared. With a prefix, the name is exactly the text after the prefix.
    """

    def __init__(
        self, photos: str | os.PathLike, strip_prefix: str | None = None, *, merge_copies: bool = False
    ) -> None:
        """Reads the folder; with `merge_copies`, several references may match one picture."""
        self._layout, self._merge_copies = read_layout(photos), merge_copies
        self._prefixes = None if strip_prefix is None else (strip_prefix, strip_prefix.replace("\\", "/"))
        self._uploaded, self._taken = {}, {}
        self._deepest = 1 + max((name.count("/") for name in self._layout.paths), default=0)
        for name in self._layout.paths:
            self._uploaded.setdefault(_as_uploaded(name.rpartition("/")[2]), []).append(name)

    def find(self, data: dict[str, Any], key: str) -> str:
        """Returns the name of the picture under `key` in a task's data.

        Raises:
            ValueError: the picture is missing from the task or the folder, several pictures match, or a different
                reference matched the same picture and copies are not merged.
        """
        reference = data.get(key)
        if not isinstance(reference, str):
            raise ValueError(f"the task data have no picture {key!r}, only {excerpt(list(data))}; correct the key")
        found = self._find(reference) if len(reference) <= LONGEST_LINE else {}
        if not found:
            raise ValueError(
                f"{excerpt(reference)} is not a picture in {self._layout.root}; add it to that folder, or pass"
                " --strip-prefix to remove the text before the file name"
            )
        if len(found) > 1:
            raise ValueError(
                f"{excerpt(reference)} matches {' and '.join(map(excerpt, sorted(found)[:5]))} in"
                f" {self._layout.root}; pass --strip-prefix to get the exact name, or keep only one of them"
            )
        ((name, reading),) = found.items()
        if self._taken.setdefault(name, reading) != reading and not self._merge_copies:
            raise ValueError(
                f"{excerpt(reference)} and {excerpt(self._taken[name])} both match {name!r}; pass"
                " --strip-prefix to tell them apart, or --merge-copies if they are copies of one picture"
            )
        return name

    def _find(self, reference: str) -> dict[str, str]:
        """Returns {name: the reading that matched it} for all pictures that a reference may refer to."""
        if self._prefixes is None:
            match, readings = self._ends, _decoded(_paths(reference))
        elif found := self._after_prefix({reference}):  # A prefix resolves ambiguity.
            return found
        else:
            match, readings = self._after_prefix, _cut(reference) | _paths(reference)
        for _ in range(3):  # Some names are encoded twice.
            if found := match(readings):
                return found
            readings = _decoded(readings)
        return {}

    def _ends(self, readings: set[str]) -> dict[str, str]:
        found, longest = {}, 1
        split = [[part for part in text.split("/") if part not in ("", ".")] for text in _shortest_first(readings)]
        for parts in split:
            # A reference with many slashes must not take quadratic time.
            for length in range(min(self._deepest, len(parts)), longest - 1, -1):
                if name := self._layout.find("/".join(parts[-length:])):
                    found, longest = found if length == longest else {}, length
                    found.setdefault(name, "/".join(parts))
                    break
        if found:
            return found
        uploads = [parts for parts in split if any("upload" in folder for folder in parts[:-1])]
        return {
            name: "/".join(parts)
            for parts in reversed(uploads)
            for name in self._uploaded.get(_as_uploaded(_UPLOAD.sub("", parts[-1])), [])
        }

    def _after_prefix(self, readings: set[str]) -> dict[str, str]:
        found = {}
        for reading in _shortest_first(readings):
            prefix = next(filter(reading.startswith, self._prefixes or ()), None)
            name = None if prefix is None else self._layout.find(reading.removeprefix(prefix).lstrip("/"))
            if name:
                found.setdefault(name, reading)
        return found


def _shortest_first(readings: set[str]) -> list[str]:
    """Sorts readings so that two encodings of the same path match a picture with the same reading first."""
    return sorted(readings, key=lambda reading: (len(reading), reading))


def _paths(reference: str) -> set[str]:
    """Returns the paths that a reference may contain, without decoding them."""
    if resolved := _RESOLVED.search(reference):
        reference = _address(urllib.parse.unquote(resolved[1]))
    if served := _SERVED.search(reference):
        text = served[1]
    elif web := _WEB.match(reference):
        path, mark, query = web[1].partition("?")
        text = path if "/" in query else path + mark + query
    else:
        text = reference.partition("://")[2] or reference
    return _cut(text)


def _cut(text: str) -> set[str]:
    """Adds the text before '?', '#' and '&', since these may end the path or be part of the file name."""
    return {text, *(text.partition(mark)[0] for mark in "?#&"), *(text.rpartition(mark)[0] or text for mark in "?#&")}


def _address(text: str) -> str:
    """Decodes the address in a resolve link, which is base64 or plain text."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).decode()
    except ValueError:
        return text


def _decoded(texts: set[str]) -> set[str]:
    """Adds percent-decoded texts (with path and form rules), and texts with backslashes replaced by slashes."""
    texts = texts.union(*({urllib.parse.unquote(text), urllib.parse.unquote_plus(text)} for text in texts))
    return texts | {text.replace("\\", "/") for text in texts}


def _as_uploaded(name: str) -> str:
    """Returns the name that Label Studio gives an uploaded file, without its prefix (Django's get_valid_filename)."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))
