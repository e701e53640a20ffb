"""The hub's side of a segment: creates it, writes pictures into it, wakes the viewers, deletes it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

import numpy as np

from fanlight.common.forked import release_in_child
from fanlight.common.model.errors import SharingError
from fanlight.common.model.pixels import Pixels
from fanlight.common.model.reasons import reason
from fanlight.common.shm import memory
from fanlight.common.shm.futex import Futex
from fanlight.common.shm.layout import (
    ENDED,
    FIELDS,
    FILE,
    LIVENESS,
    MAGIC,
    NEWEST,
    SegmentHeader,
    Slot,
    SlotRing,
    number_at,
    pictures,
    words,
)
from fanlight.common.shm.private_folder import has_name, make_private, opened_folder

_MIB: Final = 1024 * 1024


class Segment:
    """A segment for pictures of one size and one epoch. Not thread-safe; locked while its process runs.

    The file gets its name when it and the memory are complete.

    Raises:
        SharingError: there is not enough memory, or no access.
    """

    def __init__(self, name: str, header: SegmentHeader, folder: Path | None = None) -> None:
        self.header = header
        self._name = name
        self._folder = make_private(folder)
        self._file, self._memory = _created(self._folder, name, header)
        self._words = words(self._memory, header)
        self._slots = pictures(self._memory, header)
        self._ring = SlotRing(header.slots, header.grace_ns)
        self._futex = Futex(self._words, NEWEST)
        release_in_child(self, Segment._release)

    def write(self, image: Pixels, slot: Slot, now_ns: int, meta: bytes = b"") -> bool:
        """Share a picture and wake all viewers. False if all slots are still in their grace time.

        Args:
            slot: the metadata of the picture; its number and `meta_bytes` are ignored.
            now_ns: monotonic time.
            meta: of the frame, up to `MAX_META_BYTES`.
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
        FIELDS.pack_into(self._memory, 8 * word + 8, *slot[1:-1], len(meta))
        if meta:
            at = self.header.meta_at(index)
            self._memory[at : at + len(meta)] = meta
        np.copyto(self._slots[index], image)
        number = self._words[NEWEST] + 1
        self._words[word] = number
        self._ring.written(index, now_ns)
        self._words[NEWEST] = number
        self._futex.wake_all()
        return True

    @property
    def is_found(self) -> bool:
        """Whether further viewers can find it: its file may have been deleted or truncated."""
        status = os.fstat(self._file)
        return status.st_nlink > 0 and status.st_size == FILE.size

    def keep_alive(self, now_ns: int) -> None:
        """Write a heartbeat (monotonic time)."""
        self._words[LIVENESS] = now_ns

    def set_ended(self, ended: bool) -> None:
        """Whether the stream has ended in good order, so that the newest picture is its last."""
        self._words[ENDED] = ended

    def close(self) -> None:
        """Delete the file. Viewers can use the pictures that they have attached. Safe to call twice."""
        if self._file < 0:
            return
        self.keep_alive(0)
        with contextlib.suppress(OSError, SharingError), opened_folder(self._folder) as directory:
            if has_name(self._file):
                os.unlink(self._name, dir_fd=directory)
        self._futex.wake_all()
        self._release()

    def _release(self) -> None:
        """Unlock the file and unmap the memory."""
        file, self._file = self._file, -1
        if file < 0:
            return
        os.close(file)
        self._words.release()
        self._slots.clear()
        self._memory.release()


def _created(folder: Path, name: str, header: SegmentHeader) -> tuple[int, memoryview]:
    try:
        number, shared = memory.create(header.memory_bytes)
    except OSError as error:
        raise _no_memory(header, error) from None
    head = header.serialize()
    shared[: len(head)] = head
    try:
        with opened_folder(folder) as directory:
            return _file(directory, name, FILE.pack(MAGIC, number)), shared
    except OSError as error:
        raise SharingError(f"{_pictures(header)} cannot be shared in {folder}: {reason(error)}") from None


def _file(directory: int, name: str, data: bytes) -> int:
    # Without a name until it is complete and locked, so that no process finds an incomplete segment or
    # takes it for the leftover of a killed hub.
    file = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(file, data)
        # An absolute path: os.link then follows the link in /proc to the nameless file.
        os.link(f"/proc/self/fd/{file}", name, dst_dir_fd=directory, follow_symlinks=True)
    except BaseException:
        os.close(file)
        raise
    return file


def _pictures(header: SegmentHeader) -> str:
    return f"{header.slots} pictures of {header.width}x{header.height} {header.format}"


def _no_memory(header: SegmentHeader, error: OSError) -> SharingError:
    return SharingError(
        f"no shared memory for {_pictures(header)}, {header.memory_bytes / _MIB:.0f} MiB: {reason(error)}; "
        "see sysctl kernel.shmmax, shmall, shmmni, or share less (--share-size, --share-format, a shorter "
        "--max-age)"
    )
