"""The folder with the names of this user's rings.

Every user of a host may create names in /dev/shm, but only this user a folder that belongs to him. Owner
and mode are checked on the open folder, by which its files are reached: nobody can replace it in between.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fanlight.common.model.errors import SharingError
from fanlight.common.model.reasons import reason
from fanlight.common.shm import futex
from fanlight.common.shm.names import FOLDER

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - not used for temporary files


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
        raise unusable(path, error) from None
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
        raise unusable(path, error) from None
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


def open_file(name: str, flags: int, directory: int) -> int:
    """Open a file of a folder, without following a link or waiting at a FIFO."""
    return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600, dir_fd=directory)


@contextlib.contextmanager
def opened(name: str, flags: int, directory: int) -> Iterator[int]:
    """The same, and close it afterwards."""
    file = open_file(name, flags, directory)
    try:
        yield file
    finally:
        os.close(file)


def is_private(status: os.stat_result) -> bool:
    """Whether it is a file of this user, to which others have no access."""
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def has_name(file: int) -> bool:
    """Whether an open file has not been deleted."""
    return os.fstat(file).st_nlink > 0


def unusable(path: Path, error: OSError) -> SharingError:
    """The error for a folder or file that cannot be used."""
    return SharingError(f"{path} cannot be used to share pictures: {reason(error)}")


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
