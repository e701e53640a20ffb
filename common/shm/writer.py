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

from fanlight.common.forked import release_in_child
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
    """A segment for pictures of one size and one epoch. Not thread-safe; locked while its process runs.

    The file gets its name when it is complete and all of its memory is allocated: a full file system is an
    error of the constructor, and never of a write or read of pixels.

    Raises:
        SharingError: there is not enough memory, or no access.
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
        release_in_child(self, Segment._release)

    def write(self, image: Pixels, slot: Slot, now_ns: int) -> bool:
        """Share a picture and wake all viewers. False if all slots are still in their grace time.

        Args:
            slot: the metadata of the picture; its number is ignored.
            now_ns: monotonic time.
        """
        index = self._ring.claim(now_ns)
        if index is None:
            return False
        if image.shape != self._slots[index].shape:
            raise ValueError(f"a picture of shape {image.shape}: allowed is {self._slots[index].shape}")
        # Written first: viewers that still use the slot's old picture see by this word that it has expired.
        # (x86 keeps the order of stores; elsewhere the grace time has long passed.)
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
        """Write a heartbeat (monotonic time)."""
        self._words[LIVENESS] = now_ns

    def close(self) -> None:
        """Delete the file. Viewers can use the pictures that they have mapped. Safe to call twice."""
        if self._file < 0:
            return
        self.keep_alive(0)
        if is_still(self._path, self._file):
            self._path.unlink()
        self._futex.wake_all()
        self._release()

    def _release(self) -> None:
        """Unlock the file; unmap the memory first, which has a copy of the descriptor."""
        file, self._file = self._file, -1
        if file < 0:
            return
        self._words.release()
        self._slots.clear()
        with contextlib.suppress(BufferError):
            self._memory.close()
        os.close(file)


def _created(path: Path, header: SegmentHeader) -> tuple[int, mmap.mmap]:
    try:
        # Without a name until it is complete and locked, so that no process finds an incomplete segment or
        # takes it for the leftover of a killed hub.
        file = os.open(path.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.posix_fallocate(file, 0, header.file_bytes)
            os.pwrite(file, header.serialize(), 0)
            memory = mmap.mmap(file, header.file_bytes)
            # With `src_dir_fd`: only then does os.link follow the link in /proc to the nameless file.
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
