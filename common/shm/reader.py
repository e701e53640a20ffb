"""A viewer's side of a segment: maps it read-only, waits for pictures, reads them without a copy."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Final, NamedTuple

from fanlight.common.model.errors import SharingError, WireFormatError
from fanlight.common.model.pixels import PictureFormat, Pixels
from fanlight.common.model.reasons import reason
from fanlight.common.shm.folder import is_still, locked, opened, ring_folder
from fanlight.common.shm.futex import Futex
from fanlight.common.shm.layout import (
    LIVENESS,
    NEWEST,
    PAGE,
    SLOT,
    SegmentHeader,
    Slot,
    number_at,
    pictures,
    words,
)

_unpack: Final = SLOT.unpack_from
# What the constructor of a named tuple calls: without that step, for every frame of a hundred viewers.
_new: Final = tuple.__new__


class SharedPicture(NamedTuple):
    """Pixels in a hub's memory.

    Attributes:
        image: read-only.
        words, at: where the number of the slot's picture stands.
        number: what stands there as long as this is the picture.
    """

    image: Pixels
    words: memoryview[int]
    at: int
    number: int

    @property
    def valid(self) -> bool:
        """False once the hub has begun to write another picture there: what was read may be torn."""
        return self.words[self.at] == self.number


class Attachment:
    """A segment that somebody else writes. Its memory stays as long as a picture of it is in use.

    Belongs to one thread.

    Args:
        form: what its pictures have to look like.

    Raises:
        SharingError: it is not there, another user's, or not of this form.
    """

    def __init__(self, name: str, picture_format: PictureFormat, folder: Path | None = None) -> None:
        self._file = -1
        self._path = (folder or ring_folder()) / name
        try:
            with opened(self._path, os.O_RDONLY) as file:
                self.header = _checked(file, picture_format)
                self._memory = mmap.mmap(file, self.header.file_bytes, access=mmap.ACCESS_READ)
                self._file = os.dup(file)
        except OSError as error:
            raise SharingError(f"shared pictures {name} cannot be read: {reason(error)}") from None
        except WireFormatError as error:
            raise SharingError(f"shared pictures {name!r} cannot be used: {error}") from None
        self._words = words(self._memory, self.header)
        self._slots = pictures(self._memory, self.header)
        self._count = self.header.slots
        self._at = [number_at(index) for index in range(self._count)]
        # (number, timeout_s): waits for a newer picture than that one, returns the number of the newest.
        self.wait = Futex(self._words, NEWEST).wait

    @property
    def newest(self) -> int:
        """The number of the newest picture; 0 before the first one."""
        return self._words[NEWEST]

    def slot(self, number: int) -> Slot | None:
        """What belongs to the picture of that number; None if it has been overwritten."""
        at = self._at[(number - 1) % self._count]
        slot = _new(Slot, _unpack(self._memory, 8 * at))
        # Read before all else and after it: nothing was written in between.
        return slot if slot.number == number == self._words[at] else None

    def picture(self, number: int) -> SharedPicture:
        """The pixels of a picture; to be looked at only while they are `valid`."""
        index = (number - 1) % self._count
        return _new(SharedPicture, (self._slots[index].view(), self._words, self._at[index], number))

    @property
    def alive(self) -> bool:
        """Whether its writer lives and has not deleted it."""
        return locked(self._file) and is_still(self._path, self._file)

    @property
    def liveness_ns(self) -> int:
        """When the hub last said that it is at work (monotonic time); 0 once it has left."""
        return self._words[LIVENESS]

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)


def _checked(file: int, picture_format: PictureFormat) -> SegmentHeader:
    """The header of a segment that is this user's own, and nobody else's to write to."""
    status = os.fstat(file)
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise WireFormatError("owner and mode", f"{status.st_uid} {status.st_mode & 0o777:o}", "own, 600")
    header = SegmentHeader.parse(os.pread(file, PAGE, 0), status.st_size)
    if header.format is not picture_format.pixel_format or picture_format.size not in (
        None,
        (header.width, header.height),
    ):
        found = f"{header.format} {header.width}x{header.height}"
        raise WireFormatError("pictures", found, f"{picture_format}, as in its name")
    return header
