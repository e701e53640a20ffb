"""The folder with this user's rings: its permissions, the files in use, and the lock of the serving hub."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fanlight.common.forked import release_in_child
from fanlight.common.model.errors import SharingError
from fanlight.common.model.reasons import reason
from fanlight.common.shm import futex
from fanlight.common.shm.names import RingName, is_ours

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - not used for temporary files


def ring_folder() -> Path:
    """The folder of this user's rings. Its mode keeps other users from creating files in it."""
    return SHARED_MEMORY / f"fanlight-{os.geteuid()}"


def can_share() -> bool:
    """Whether this system supports sharing: futexes and /dev/shm."""
    return futex.available and SHARED_MEMORY.is_dir()


def make_private(folder: Path) -> None:
    """Create the folder, or check that the existing one is private to this user.

    Raises:
        SharingError: it belongs to another user, or others have access.
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
    """Whether a running process has the file locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def segments(ring: RingName, folder: Path | None = None) -> list[str]:
    """Names of the segments of a ring, including those of killed hubs.

    Raises:
        SharingError: the folder exists and cannot be read (too few file descriptors).
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
    """The lock that selects one of several hubs of the same pictures; the next one then acquires it."""

    def __init__(self, ring: RingName, folder: Path | None = None) -> None:
        self._folder = folder or ring_folder()
        self._path = self._folder / ring.lock
        self._file: int | None = None

    def acquire(self) -> bool:
        """Acquire the lock without waiting. True if this process holds it, from now on or already.

        Raises:
            SharingError: the folder cannot be used.
        """
        if self._file is not None:
            return True
        make_private(self._folder)
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        # The previous holder may have deleted the file after it was opened here: then the lock is void.
        if _lock(file) and is_still(self._path, file):
            self._file = file
            release_in_child(self, Leadership._unlock)
            return True
        os.close(file)
        return False

    def release(self) -> None:
        """Release the lock and remove the folder if it is empty. Safe to call twice."""
        if self._file is not None:
            if is_still(self._path, self._file):
                self._path.unlink()
            self._unlock()
            with contextlib.suppress(OSError):
                self._folder.rmdir()

    def _unlock(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def is_still(path: Path, file: int) -> bool:
    """Whether an open file is the one at that path."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(file))
    except OSError:
        return False


@contextlib.contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """Open a file descriptor without following a symbolic link, and close it afterwards."""
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
