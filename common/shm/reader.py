"""A viewer's side of a segment: attaches it read-only, waits for pictures, reads them without a copy."""

from __future__ import annotations

import os
from pathlib import Path
from stat import filemode
from typing import Final, NamedTuple

from fanlight.common.model.errors import SharingError, WireFormatError
from fanlight.common.model.meta import MAX_META_BYTES
from fanlight.common.model.pixels import PictureFormat, Pixels
from fanlight.common.model.reasons import reason
from fanlight.common.shm import memory
from fanlight.common.shm.futex import Futex
from fanlight.common.shm.layout import (
    ENDED,
    FILE,
    LIVENESS,
    MAGIC,
    NEWEST,
    SLOT,
    SegmentHeader,
    Slot,
    number_at,
    pictures,
    words,
)
from fanlight.common.shm.locks import locked
from fanlight.common.shm.private_folder import has_name, is_private, opened, opened_folder

_unpack: Final = SLOT.unpack_from
# The constructor of a named tuple calls this; direct calls save time in a hundred viewers.
_new: Final = tuple.__new__


class SharedPicture(NamedTuple):
    """Pixels in a hub's memory.

    Attributes:
        image: read-only.
        words, at: the word with the number of the slot's picture.
        number: number of this picture, which that word has until the slot is overwritten.
    """

    image: Pixels
    words: memoryview[int]
    at: int
    number: int

    @property
    def valid(self) -> bool:
        """False once the hub has begun to overwrite the picture: pixels read since may be torn."""
        return self.words[self.at] == self.number


class Attachment:
    """A segment attached read-only. The memory stays attached while one of its pictures is referenced.

    Not thread-safe.

    Args:
        picture_format: the required format of its pictures.

    Raises:
        SharingError: it is missing, belongs to another user, or has another format.
    """

    def __init__(self, name: str, picture_format: PictureFormat, folder: Path | None = None) -> None:
        self._file = -1
        try:
            with opened_folder(folder) as directory, opened(name, os.O_RDONLY, directory) as file:
                self.header, self._memory = _attached(file, picture_format)
                self._file = os.dup(file)
        except OSError as error:
            raise SharingError(f"shared pictures {name} cannot be read: {reason(error)}") from None
        except WireFormatError as error:
            raise SharingError(f"shared pictures {name!r} cannot be used: {error}") from None
        self._words = words(self._memory, self.header)
        self._slots = pictures(self._memory, self.header)
        self._count = self.header.slots
        self._at = [number_at(index) for index in range(self._count)]
        # (number, timeout_s): wait for a picture newer than `number`, return the number of the newest.
        self.wait = Futex(self._words, NEWEST).wait

    @property
    def newest(self) -> int:
        """The number of the newest picture; 0 before the first one."""
        return self._words[NEWEST]

    def slot(self, number: int) -> Slot | None:
        """The metadata of a picture; None if it has been overwritten."""
        at = self._at[(number - 1) % self._count]
        slot = _new(Slot, _unpack(self._memory, 8 * at))
        # The number was read before the other fields and again now: nothing was written in between.
        return slot if slot.number == number == self._words[at] else None

    def picture(self, number: int) -> SharedPicture:
        """The pixels of a picture, meaningful while `SharedPicture.valid`."""
        index = (number - 1) % self._count
        return _new(SharedPicture, (self._slots[index].view(), self._words, self._at[index], number))

    def meta(self, slot: Slot) -> str:
        """What belongs to a picture, as in `FrameHeader`; empty if it has been overwritten."""
        at = self.header.meta_at((slot.number - 1) % self._count)
        text = bytes(self._memory[at : at + min(slot.meta_bytes, MAX_META_BYTES)])
        # Read before the number, as in `slot`: nothing was written in between.
        written = self._words[self._at[(slot.number - 1) % self._count]] == slot.number
        return text.decode() if written else ""

    @property
    def alive(self) -> bool:
        """Whether its writer is running and has not deleted the file."""
        return locked(self._file) and has_name(self._file)

    @property
    def liveness_ns(self) -> int:
        """Monotonic time of the hub's last heartbeat; 0 once it has ended."""
        return self._words[LIVENESS]

    @property
    def ended(self) -> bool:
        """Whether the stream has ended in good order: the newest picture is its last."""
        return self._words[ENDED] == 1

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)


def _attached(file: int, picture_format: PictureFormat) -> tuple[SegmentHeader, memoryview]:
    """The header and the memory of a segment; both must belong to this user alone."""
    status = os.fstat(file)
    if not is_private(status):
        raise WireFormatError(
            "owner and mode", f"{status.st_uid} {filemode(status.st_mode)}", "own, -rw-------"
        )
    data = os.pread(file, FILE.size + 1, 0)
    if len(data) != FILE.size or not data.startswith(MAGIC):
        raise WireFormatError("file", data, f"{MAGIC!r} and the number of the memory")
    attached = memory.attach(FILE.unpack(data)[1])
    header = SegmentHeader.parse(attached, len(attached))
    if header.format is not picture_format.pixel_format or picture_format.size not in (
        None,
        (header.width, header.height),
    ):
        found = f"{header.format} {header.width}x{header.height}"
        raise WireFormatError("pictures", found, f"{picture_format}, as in its name")
    return header, attached
