"""A consumer's side of a segment: maps it, and looks at its pictures without copying them."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from common.errors import SharingError, WireFormatError
from common.pixels import Form, Pixels
from common.sharing.hosts import FOLDER, held, is_still, opened
from common.sharing.layout import BEAT, GENERATIONS, PAGE, SegmentHeader, check_name, pictures, words


class Attachment:
    """A segment that somebody else writes. Its memory stays as long as a picture of it is in use.

    Args:
        stream: the one that the segment has to be of.
        form: what its pictures have to look like.

    Raises:
        SharingError: it is not there, another user's, or not of this form.
    """

    def __init__(self, name: str, stream: str, form: Form, folder: Path = FOLDER) -> None:
        self.name = name
        self._file = -1
        self._path = folder / name
        try:
            epoch = check_name(name, stream, form)
            with opened(self._path, os.O_RDONLY) as file:
                self.header = _checked(file, form, epoch)
                self._memory = mmap.mmap(file, self.header.file_bytes, access=mmap.ACCESS_READ)
                self._file = os.dup(file)
        except OSError as error:
            raise SharingError(f"shared pictures {name} cannot be read: {error.strerror}") from None
        except WireFormatError as error:
            raise SharingError(f"shared pictures {name!r} cannot be used: {error}") from None
        self._words = words(self._memory)
        self._slots = pictures(self._memory, self.header)

    def picture(self, slot: int, generation: int) -> SharedPicture | None:
        """The picture of that number; None if it has been overwritten, or never was in that slot."""
        # Generation 0 is that of a slot which is being written, or never was.
        if (
            not 0 <= slot < self.header.slots
            or not generation
            or self._words[GENERATIONS + slot] != generation
        ):
            return None
        return SharedPicture(self._slots[slot].view(), self._words, GENERATIONS + slot, generation)

    @property
    def alive(self) -> bool:
        """Whether its writer lives and has not deleted it."""
        return held(self._file) and is_still(self._path, self._file)

    @property
    def beat_ns(self) -> int:
        """When its writer last said that it is at work (monotonic time, which is the host's)."""
        return self._words[BEAT]

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)


class SharedPicture:
    """One picture in a slot.

    Attributes:
        image: its pixels, read-only and without a copy.
    """

    __slots__ = ("_at", "_generation", "_words", "image")

    def __init__(self, image: Pixels, words: memoryview[int], at: int, generation: int) -> None:
        self.image = image
        self._words = words
        self._at = at
        self._generation = generation

    @property
    def valid(self) -> bool:
        """False once the hub has begun to write another picture there: what was read may be torn."""
        return self._words[self._at] == self._generation


def _checked(file: int, form: Form, epoch: int) -> SegmentHeader:
    """The header of a segment that is this user's own, and nobody else's to write to."""
    status = os.fstat(file)
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise WireFormatError("owner and mode", f"{status.st_uid} {status.st_mode & 0o777:o}", "own, 600")
    header = SegmentHeader.parse(os.pread(file, PAGE, 0), status.st_size)
    if header.format is not form.format or form.size not in (None, (header.width, header.height)):
        found = f"{header.format} {header.width}x{header.height}"
        raise WireFormatError("pictures", found, f"{form}, as in its name")
    if header.epoch != epoch:
        raise WireFormatError("epoch", header.epoch, f"{epoch}, as in its name")
    return header
