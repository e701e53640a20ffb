"""A file system of a few MiB that can be filled to its last byte: a tmpfs; needs root."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from pathlib import Path
from typing import Final, Self

_CHUNK: Final = bytes(1 << 16)


class SmallDisk:
    """Mounted at `path` from entry to exit. Without root it is a plain folder that cannot be filled."""

    def __init__(self, path: Path, size_mib: int) -> None:
        self.path = path
        self._size_mib = size_mib
        self._filler = path / "filler"
        self.mounted = False

    def __enter__(self) -> Self:
        self.path.mkdir()
        if os.geteuid() == 0:
            options = f"size={self._size_mib}m"
            done = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "fanlight", str(self.path)],
                check=False,
                capture_output=True,
            )
            self.mounted = done.returncode == 0
        return self

    def __exit__(self, *_: object) -> None:
        if self.mounted:
            # Lazily: whoever still has a file open there does not matter any more.
            subprocess.run(["umount", "--lazy", str(self.path)], check=False, capture_output=True)

    def fill(self) -> None:
        """Take all that is free."""
        with contextlib.suppress(OSError), self._filler.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(_CHUNK)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                while True:
                    file.write(b"\0")

    def free(self) -> None:
        """Give it back."""
        self._filler.unlink(missing_ok=True)

    def clear(self, keep: str) -> None:
        """Delete all files whose name does not begin with `keep`."""
        for file in self.path.iterdir():
            if not file.name.startswith(keep):
                file.unlink(missing_ok=True)
