"""The folder of this user's rings: who may enter it, which files are in use, which hub leads."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fanlight.common.model.errors import SharingError
from fanlight.common.model.reasons import reason
from fanlight.common.shm import futex
from fanlight.common.shm.names import RingName, is_ours

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - memory of the host, in which we have a folder


def ring_folder() -> Path:
    """Where the rings of this user are: nobody else may enter it, so nobody else can plant a name in it."""
    return SHARED_MEMORY / f"fanlight-{os.geteuid()}"


def can_share() -> bool:
    """Whether this system has what sharing needs."""
    return futex.available and SHARED_MEMORY.is_dir()


def make_private(folder: Path) -> None:
    """Make the folder, or check that the one which is there is this user's own.

    Raises:
        SharingError: it is somebody else's, or others may enter it.
    """
    try:
        folder.mkdir(0o700, exist_ok=True)
        found = os.lstat(folder)
    except OSError as error:
        raise SharingError(f"{folder} cannot be used to share pictures: {reason(error)}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise SharingError(
            f"{folder} belongs to user {found.st_uid} with mode {found.st_mode & 0o777:o}: pictures are "
            "shared only in a folder of our own with mode 700; remove it"
        )


def locked(file: int) -> bool:
    """Whether the process that locked a file still lives."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def segments(ring: RingName, folder: Path | None = None) -> list[str]:
    """Names of the segments of a ring, of living hubs or not.

    Raises:
        SharingError: the folder is there and cannot be read (descriptors are short).
    """
    folder = folder or ring_folder()
    try:
        names = [path.name for path in _files(folder)]
    except OSError as error:
        raise SharingError(f"shared pictures in {folder} cannot be read: {reason(error)}") from None
    return [name for name in names if name.startswith(ring.prefix) and name != ring.lock]


def remove_stale(folder: Path | None = None) -> int:
    """Delete the files of killed hubs of this user; returns how many."""
    count = 0
    try:
        paths = _files(folder or ring_folder())
    except OSError:
        return 0
    for path in paths:
        with contextlib.suppress(OSError), opened(path, os.O_RDONLY) as file:
            own = is_ours(path.name) and os.fstat(file).st_uid == os.geteuid()
            if own and _lock(file) and is_still(path, file):
                path.unlink()
                count += 1
    return count


class Leadership:
    """Of several hubs that share the same pictures one serves; the next takes over when it ends."""

    def __init__(self, ring: RingName, folder: Path | None = None) -> None:
        self._folder = folder or ring_folder()
        self._path = self._folder / ring.lock
        self._file: int | None = None

    def acquire(self) -> bool:
        """True if this process leads, from now on or already.

        Raises:
            SharingError: there is no folder for it.
        """
        if self._file is not None:
            return True
        make_private(self._folder)
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
        """Let the next hub lead, and remove an empty folder. Safe to call twice."""
        if self._file is not None:
            if is_still(self._path, self._file):
                self._path.unlink()
            os.close(self._file)
            self._file = None
            with contextlib.suppress(OSError):
                self._folder.rmdir()


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


def _files(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
