"""The folder with the names of this user's rings, and the lock of the serving hub.

Every user of a host may create names in /dev/shm, but only this user a folder that belongs to him. Owner
and mode are checked on the open folder, by which its files are reached: nobody can replace it in between.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from fanlight.common.model.errors import SharingError
from fanlight.common.model.reasons import reason
from fanlight.common.shm import futex
from fanlight.common.shm.names import FOLDER, RingName, is_ours

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - not used for temporary files

# A link is not followed, and a FIFO not waited for.
_SAFELY: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def ring_folder() -> Path:
    """The folder of this user's rings, or the path at which it will be created.

    If another user has taken that name, it is one with a random suffix.
    """
    user = os.geteuid()
    folder = SHARED_MEMORY / f"{FOLDER}{user}"
    if _owner(folder) == user:
        return folder
    return min((path for path, owner in _folders(f"{folder.name}.") if owner == user), default=folder)


def other_users() -> set[int]:
    """The numbers of the other users who have a folder of rings on this host."""
    found = {
        owner
        for path, owner in _folders(FOLDER)
        if path.name[len(FOLDER) :].partition(".")[0] == str(owner)
    }
    return found - {os.geteuid()}


def can_share() -> bool:
    """Whether this system supports sharing: futexes and /dev/shm."""
    return futex.available and SHARED_MEMORY.is_dir()


def make_private(folder: Path | None = None) -> Path:
    """Create the folder unless it exists, and return it. `opened_folder` checks whether it is private.

    Raises:
        SharingError: it cannot be created.
    """
    path = folder or ring_folder()
    try:
        if folder is not None or _owner(path) in (None, os.geteuid()):
            path.mkdir(0o700, exist_ok=True)
            return path
        made = Path(tempfile.mkdtemp(prefix=f"{path.name}.", dir=SHARED_MEMORY))
        path = ring_folder()
        if path != made:  # another process of this user made one too
            made.rmdir()
    except OSError as error:
        raise _unusable(path, error) from None
    return path


@contextlib.contextmanager
def opened_folder(folder: Path | None = None) -> Iterator[int]:
    """Open the folder, for the time in which its descriptor is used.

    Raises:
        FileNotFoundError: this user has none.
        SharingError: it belongs to another user, others have access, or it cannot be opened.
    """
    path = folder or ring_folder()
    if folder is None and _owner(path) != os.geteuid():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    try:
        file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unusable(path, error) from None
    try:
        found = os.fstat(file)
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise SharingError(
                f"{path} belongs to user {found.st_uid} with mode {found.st_mode & 0o777:o}: pictures "
                "are shared only in a folder of our own with mode 700; remove it"
            )
        yield file
    finally:
        os.close(file)


def locked(file: int) -> bool:
    """Whether a running process has the file locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def is_private(status: os.stat_result) -> bool:
    """Whether it is a file of this user, to which others have no access."""
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def has_name(file: int) -> bool:
    """Whether an open file has not been deleted."""
    return os.fstat(file).st_nlink > 0


def hubs(stream: str) -> list[str]:
    """Names of the locks that hubs of this user hold for a stream, in any format and of any source."""
    with contextlib.suppress(SharingError):
        return _held(f"{stream}.", lambda name: name.endswith(".lock"))
    return []


def segments(ring: RingName, folder: Path | None = None) -> list[str]:
    """Names of the segments of a ring whose hubs run.

    Raises:
        SharingError: the folder exists and cannot be read (too few file descriptors).
    """
    return _held(ring.prefix, lambda name: name != ring.lock, folder)


def _held(prefix: str, wanted: Callable[[str], bool], folder: Path | None = None) -> list[str]:
    """The files whose names begin so and that running processes have locked."""
    found = []
    try:
        with opened_folder(folder) as directory:
            for name in _files(directory):
                if name.startswith(prefix) and is_ours(name) and wanted(name):
                    with (
                        contextlib.suppress(FileNotFoundError),
                        opened(name, os.O_RDONLY, directory) as file,
                    ):
                        if locked(file):
                            found.append(name)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unusable(folder or ring_folder(), error) from None
    return found


def remove_stale(folder: Path | None = None) -> int:
    """Delete the files of killed hubs of this user; returns how many."""
    count = 0
    with contextlib.suppress(OSError, SharingError), opened_folder(folder) as directory:
        for name in filter(is_ours, _files(directory)):
            with contextlib.suppress(OSError), opened(name, os.O_RDONLY, directory) as file:
                own = os.fstat(file).st_uid == os.geteuid()
                if own and _lock(file) and has_name(file):
                    os.unlink(name, dir_fd=directory)
                    count += 1
    return count


class Leadership:
    """The lock that selects one of several hubs of the same pictures; the next one then acquires it."""

    def __init__(self, ring: RingName, folder: Path | None = None) -> None:
        self._name = ring.lock
        self._given = folder
        self._folder = folder or ring_folder()
        self._file: int | None = None

    def acquire(self) -> bool:
        """Acquire the lock without waiting. True if this process holds it, from now on or already.

        Raises:
            SharingError: the folder or the lock cannot be used.
        """
        if self._file is not None:
            if has_name(self._file):
                return True
            self.release()  # somebody has deleted it, and others may hold another one
        self._folder = make_private(self._given)
        try:
            file = self._open()
        except OSError as error:
            raise _unusable(self._folder / self._name, error) from None
        # The previous holder may have deleted the file after it was opened here: then the lock is void.
        if _lock(file) and has_name(file):
            self._file = file
            return True
        os.close(file)
        return False

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | _SAFELY
        with opened_folder(self._folder) as directory:
            file = os.open(self._name, flags, 0o600, dir_fd=directory)
        if is_private(os.fstat(file)):
            return file
        os.close(file)
        raise PermissionError(errno.EPERM, "not a file of this user alone")

    def release(self) -> None:
        """Release the lock and remove the folder if it is empty. Safe to call twice."""
        file, self._file = self._file, None
        if file is None:
            return
        with contextlib.suppress(OSError, SharingError), opened_folder(self._folder) as directory:
            if has_name(file):
                os.unlink(self._name, dir_fd=directory)
        os.close(file)
        with contextlib.suppress(OSError):
            self._folder.rmdir()


@contextlib.contextmanager
def opened(name: str, flags: int, directory: int) -> Iterator[int]:
    """Open a file of a folder, without following a link or waiting at a FIFO, and close it afterwards."""
    file = os.open(name, flags | _SAFELY, dir_fd=directory)
    try:
        yield file
    finally:
        os.close(file)


def _files(directory: int) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]


def _folders(prefix: str) -> Iterator[tuple[Path, int]]:
    """The folders in shared memory whose names begin so, and their owners."""
    with contextlib.suppress(OSError), os.scandir(SHARED_MEMORY) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False):
                yield Path(entry.path), entry.stat(follow_symlinks=False).st_uid


def _owner(path: Path) -> int | None:
    try:
        return os.lstat(path).st_uid
    except OSError:
        return None


def _unusable(path: Path, error: OSError) -> SharingError:
    return SharingError(f"{path} cannot be used to share pictures: {reason(error)}")


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
