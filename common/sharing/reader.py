"""A consumer's side of a segment: maps it, and looks at its pictures without copying them."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np

from common.errors import SharingError, WireFormatError
from common.pixels import Form, Pixels, shape
from common.sharing.hosts import FOLDER, held, is_still, opened
from common.sharing.layout import BEAT_AT, GENERATIONS_AT, PAGE, Reference, SegmentHeader, check_name


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
            check_name(name, stream, form)
            with opened(self._path, os.O_RDONLY) as file:
                self.header = _checked(file)
                self._memory = mmap.mmap(file, self.header.file_bytes, access=mmap.ACCESS_READ)
                self._file = os.dup(file)
        except OSError as error:
            raise SharingError(f"shared pictures {name} cannot be read: {error.strerror}") from None
        except WireFormatError as error:
            raise SharingError(f"shared pictures {name!r} cannot be used: {error}") from None
        self._words = memoryview(self._memory)[:PAGE].cast("Q")
        form_shape = shape(self.header.format, self.header.width, self.header.height)
        self._slots = [
            np.frombuffer(self._memory, np.uint8, self.header.picture_bytes, PAGE + n * self.header.stride)
            .reshape(form_shape)
            for n in range(self.header.slots)
        ]  # fmt: skip

    def picture(self, reference: Reference) -> SharedPicture | None:
        """The picture that is referred to; None if it has been overwritten, or never was there."""
        if reference.slot >= self.header.slots:
            return None
        picture = SharedPicture(self, reference.slot, reference.generation)
        return picture if picture.valid else None

    def generation(self, slot: int) -> int:
        """Number of the picture in a slot; 0 while it is being written."""
        return self._words[GENERATIONS_AT // 8 + slot]

    def pixels(self, slot: int) -> Pixels:
        """What is in a slot, read-only."""
        return self._slots[slot].view()

    @property
    def alive(self) -> bool:
        """Whether its writer lives and has not deleted it."""
        return held(self._file) and is_still(self._path, self._file)

    @property
    def beat_ns(self) -> int:
        """When its writer last said that it is at work (monotonic time, which is the host's)."""
        return self._words[BEAT_AT // 8]

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)


class SharedPicture:
    """One picture in a slot.

    Attributes:
        image: its pixels, read-only and without a copy.
    """

    __slots__ = ("_attachment", "_generation", "_slot")

    def __init__(self, attachment: Attachment, slot: int, generation: int) -> None:
        self._attachment = attachment
        self._slot = slot
        self._generation = generation

    @property
    def image(self) -> Pixels:
        return self._attachment.pixels(self._slot)

    @property
    def valid(self) -> bool:
        """False once the hub has begun to write another picture there: what was read may be torn."""
        return self._attachment.generation(self._slot) == self._generation


def _checked(file: int) -> SegmentHeader:
    """The header of a segment that is this user's own, and nobody else's to write to."""
    status = os.fstat(file)
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise WireFormatError("owner and mode", f"{status.st_uid} {status.st_mode & 0o777:o}", "own, 600")
    return SegmentHeader.parse(os.pread(file, PAGE, 0), status.st_size)
