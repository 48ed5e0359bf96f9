"""Counts the inputs that a command does not use, so nothing is skipped silently."""

import collections
import dataclasses
import os
import re
from typing import Any

# Files that accompany pictures. Neither these nor hidden files are counted.
COMPANIONS = (
    ".csv", ".tsv", ".json", ".jsonl", ".parquet", ".yaml", ".yml", ".txt", ".md", ".log",
    ".html", ".htm", ".xml", ".xmp", ".aae", ".ini", ".db",
)  # fmt: skip
NO_EXTENSION = "without an extension"
_MOST_SHOWN = 8  # Maximum number of extensions or columns in a sentence.
_LONGEST = 40  # Maximum number of characters of a column name in a sentence.


@dataclasses.dataclass
class LeftOut:
    """The counts for one command.

    `files` is {extension in lower case, or `NO_EXTENSION`: number of files that are not pictures}; `links` is the
    number of links that are broken or lead back to a folder above them; `columns` is {table: columns that are not
    read}; `repeats` is {table: number of rows that repeat an earlier name and box}.
    """

    files: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    links: int = 0
    columns: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    repeats: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)

    def __post_init__(self) -> None:
        self._counted: set[int] = set()  # Hashes of paths.

    def add_file(self, path: str) -> None:
        """Counts a file that is not a picture, at most once, unless it accompanies pictures."""
        ending = os.path.splitext(path)[1].lower()
        if ending not in COMPANIONS and self._is_new(path):
            self.files[ending if re.fullmatch(r"\.\w{1,10}", ending) else NO_EXTENSION] += 1

    def add_link(self, path: str) -> None:
        """Counts a link that is not followed, at most once."""
        self.links += self._is_new(path)

    def _is_new(self, path: str) -> bool:
        before = len(self._counted)
        self._counted.add(hash(os.path.abspath(path)))
        return len(self._counted) > before

    def sentences(self) -> list[str]:
        """Returns one sentence for each kind of omission."""
        lines = []
        if self.files:
            ordered = sorted(self.files.items(), key=lambda item: (-item[1], item[0]))
            counts = [f"{count:,} {ending}" for ending, count in ordered]
            more = [f"{len(counts) - _MOST_SHOWN} more kinds"] * (len(counts) > _MOST_SHOWN)
            what = _count(self.files.total(), "file that is not a picture", "files that are not pictures")
            lines.append(f"left out {what}, by extension: {', '.join(counts[:_MOST_SHOWN] + more)}")
        if self.links:
            what = _count(self.links, "link that is broken or leads", "links that are broken or lead")
            lines.append(f"left out {what} back to a folder above")
        for table, columns in self.columns.items():
            more = [f"{len(columns) - _MOST_SHOWN} more"] * (len(columns) > _MOST_SHOWN)
            shown = [column[:_LONGEST] for column in columns[:_MOST_SHOWN]]
            lines.append(f"{table}: ignored columns: {', '.join(shown + more)}")
        for table, count in self.repeats.items():
            what = _count(count, "row repeats", "rows repeat")
            lines.append(f"{table}: {what} an earlier name and box; each picture or face counts once")
        return [line.encode(errors="backslashreplace").decode() for line in lines]  # Lone surrogates cannot be printed.

    def to_dict(self) -> dict[str, Any]:
        """Returns the counts as a JSON-serializable dict."""
        return {
            "files": dict(self.files),
            "links": self.links,
            "columns": dict(self.columns),
            "repeats": dict(self.repeats),
        }


def _count(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
