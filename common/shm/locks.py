"""The locks of the files in the folder: they tell which hubs run, and which of them serves."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from fanlight.common.forked import release_in_child
from fanlight.common.model.errors import SharingError
from fanlight.common.shm.names import RingName, is_ours
from fanlight.common.shm.private_folder import (
    has_name,
    is_private,
    make_private,
    open_file,
    opened,
    opened_folder,
    ring_folder,
    unusable,
)


def locked(file: int) -> bool:
    """Whether a running process has the file locked."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


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
        raise unusable(folder or ring_folder(), error) from None
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
            raise unusable(self._folder / self._name, error) from None
        # The previous holder may have deleted the file after it was opened here: then the lock is void.
        if _lock(file) and has_name(file):
            self._file = file
            release_in_child(self, Leadership._unlock)
            return True
        os.close(file)
        return False

    def _open(self) -> int:
        with opened_folder(self._folder) as directory:
            file = open_file(self._name, os.O_RDWR | os.O_CREAT, directory)
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

    def _unlock(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _files(directory: int) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
