"""Which processes share memory, and what they left there."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from common.pixels import Form
from common.sharing.layout import LOCK_SUFFIX, is_ours, prefix

FOLDER: Final = Path("/dev/shm")  # noqa: S108 - memory, not a file of ours that others could foresee
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def host_id(folder: Path = FOLDER) -> str | None:
    """12 hex digits that are alike for all processes that see the same shared memory, and for no others.

    A container has its own /dev/shm unless it was started with that of another (`docker run --ipc`): what
    counts is the mounted file system, not the host's name. None where there is no such memory.
    """
    try:
        return hashlib.sha256(f"{_BOOT_ID.read_text()}{os.stat(folder).st_dev}".encode()).hexdigest()[:12]
    except OSError:
        return None


def held(file: int) -> bool:
    """Whether the process that wrote a segment, or took a lock, still lives."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def live_segments(stream: str, form: Form, folder: Path = FOLDER) -> list[str]:
    """Names of the segments of living hubs that share this stream in this form."""
    return [path.name for path in _ours(folder, prefix(stream, form)) if _is_live(path)]


def reclaim(folder: Path = FOLDER) -> int:
    """Delete what hubs of this user left behind when they were killed; the number of files."""
    count = 0
    for path in _ours(folder, "fanlight."):
        with contextlib.suppress(OSError), opened(path, os.O_RDONLY) as file:
            own = is_ours(path.name) and os.fstat(file).st_uid == os.geteuid()
            if own and _lock(file) and is_still(path, file):
                path.unlink()
                count += 1
    return count


class Leadership:
    """Of several hubs that share the same pictures one serves; the next takes over when it ends."""

    def __init__(self, stream: str, form: Form, folder: Path = FOLDER) -> None:
        self._path = folder / f"{prefix(stream, form)}{LOCK_SUFFIX}"
        self._file: int | None = None

    def acquire(self) -> bool:
        """True if this process leads, from now on or already."""
        if self._file is not None:
            return True
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        # Its last holder may have deleted it after it was opened here: such a lock is nobody else's.
        if _lock(file) and is_still(self._path, file):
            self._file = file
            return True
        os.close(file)
        return False

    def release(self) -> None:
        """Let the next one lead. Safe to call twice."""
        if self._file is not None:
            if is_still(self._path, self._file):
                self._path.unlink()
            os.close(self._file)
            self._file = None


def is_still(path: Path, file: int) -> bool:
    """Whether an open file is the one of that name."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(file))
    except OSError:
        return False


@contextlib.contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """An open file descriptor; never by way of a symbolic link."""
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)


def _ours(folder: Path, beginning: str) -> list[Path]:
    try:
        return [
            Path(entry.path)
            for entry in os.scandir(folder)
            if entry.name.startswith(beginning) and entry.is_file(follow_symlinks=False)
        ]
    except OSError:
        return []


def _is_live(path: Path) -> bool:
    if path.name.endswith(f".{LOCK_SUFFIX}"):
        return False
    with contextlib.suppress(OSError), opened(path, os.O_RDONLY) as file:
        return held(file)
    return False


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
