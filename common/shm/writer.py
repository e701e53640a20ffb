"""The hub's side of a segment: creates it, writes pictures into it, wakes the viewers, deletes it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
from pathlib import Path
from typing import Final

import numpy as np

from fanlight.common.model.errors import SharingError
from fanlight.common.model.pixels import Pixels
from fanlight.common.model.reasons import reason
from fanlight.common.shm.folder import is_still, make_private, opened, ring_folder
from fanlight.common.shm.futex import Futex
from fanlight.common.shm.layout import (
    FIELDS,
    LIVENESS,
    NEWEST,
    SegmentHeader,
    Slot,
    SlotRing,
    number_at,
    pictures,
    words,
)

_MIB: Final = 1024 * 1024


class Segment:
    """Pictures of one size and one epoch. Belongs to one thread; locked as long as its writer lives.

    It appears under its name when it is complete, and with all of its memory: a file system that is full
    is an error here, and never one of somebody who writes or reads pixels.

    Raises:
        SharingError: there is not enough memory, or no access; says what to do.
    """

    def __init__(self, name: str, header: SegmentHeader, folder: Path | None = None) -> None:
        self.header = header
        self._path = (folder or ring_folder()) / name
        make_private(self._path.parent)
        self._file, self._memory = _created(self._path, header)
        self._words = words(self._memory, header)
        self._slots = pictures(self._memory, header)
        self._ring = SlotRing(header.slots, header.grace_ns)
        self._futex = Futex(self._words, NEWEST)

    def write(self, image: Pixels, slot: Slot, now_ns: int) -> bool:
        """Share a picture and wake all viewers. False if all slots are still in their grace time.

        Args:
            slot: what belongs to the picture; its number is given here.
            now_ns: monotonic time.
        """
        index = self._ring.claim(now_ns)
        if index is None:
            return False
        if image.shape != self._slots[index].shape:
            raise ValueError(f"a picture of shape {image.shape}: allowed is {self._slots[index].shape}")
        # A viewer that still looks at the slot's old picture learns from this word that it has expired: it
        # is written first. (Stores stay in order on x86; elsewhere the grace time has long passed.)
        word = number_at(index)
        self._words[word] = 0
        FIELDS.pack_into(self._memory, 8 * word + 8, *slot[1:])
        np.copyto(self._slots[index], image)
        number = self._words[NEWEST] + 1
        self._words[word] = number
        self._ring.written(index, now_ns)
        self._words[NEWEST] = number
        self._futex.wake_all()
        return True

    def keep_alive(self, now_ns: int) -> None:
        """Say that the hub is at work (monotonic time)."""
        self._words[LIVENESS] = now_ns

    def close(self) -> None:
        """Delete it. Viewers keep the pictures that they hold. Safe to call twice."""
        if self._file < 0:
            return
        self.keep_alive(0)
        if is_still(self._path, self._file):
            self._path.unlink()
        self._futex.wake_all()
        self._words.release()
        self._slots.clear()
        with contextlib.suppress(BufferError):
            self._memory.close()
        os.close(self._file)
        self._file = -1


def _created(path: Path, header: SegmentHeader) -> tuple[int, mmap.mmap]:
    try:
        # Without a name until it is complete and locked: nobody finds half a segment, or takes it for one
        # that a dead hub left behind.
        file = os.open(path.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.posix_fallocate(file, 0, header.file_bytes)
            os.pwrite(file, header.serialize(), 0)
            memory = mmap.mmap(file, header.file_bytes)
            # By way of a folder: os.link follows the link of /proc to the nameless file only then.
            with opened(Path("/proc/self/fd"), os.O_RDONLY | os.O_DIRECTORY) as folder:
                os.link(str(file), path, src_dir_fd=folder, follow_symlinks=True)
        except BaseException:
            os.close(file)
            raise
    except OSError as error:
        raise _failure(path.parent, header, error) from None
    return file, memory


def _failure(folder: Path, header: SegmentHeader, error: OSError) -> SharingError:
    needed = f"{header.slots} pictures of {header.width}x{header.height} {header.format}"
    if error.errno in (errno.ENOSPC, errno.ENOMEM):
        left = os.statvfs(folder)
        return SharingError(
            f"{folder} has {left.f_bavail * left.f_frsize / _MIB:.0f} MiB left, {needed} take "
            f"{header.file_bytes / _MIB:.0f}: enlarge it (docker run --shm-size), or share less "
            "(--share-size, --share-format, a shorter --max-age)"
        )
    return SharingError(f"{needed} cannot be shared in {folder}: {reason(error)}")
