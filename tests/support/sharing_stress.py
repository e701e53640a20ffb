"""One hub and 50 readers of its shared pictures, all of which are killed again and again.

A program of its own: `python -m tests.support.sharing_stress STREAM FRAMES LIMIT_S RESULTS` ends by itself
and writes down what was seen. Every reader counts in a row of a shared table, so that a killed one has not
counted in vain. Readers follow the ring as viewers do: they wait at it, and read what is new.
"""

from __future__ import annotations

import json
import mmap
import multiprocessing
import random
import select
import sys
import time
from multiprocessing import connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from fanlight.common.model.errors import SharingError
from fanlight.common.model.pixels import FULL_BGR, PixelFormat, Pixels
from fanlight.common.shm.layout import SegmentHeader, Slot
from fanlight.common.shm.locks import remove_stale, segments
from fanlight.common.shm.names import RingName
from fanlight.common.shm.reader import Attachment
from fanlight.common.shm.writer import Segment

READERS: Final = 50
LONGEST_S: Final = 60.0
# Of the columns of the table.
CHECKED, TORN, OVERTAKEN, NOTICED, GONE, REFUSED, UNDEAD = range(7)
COLUMNS: Final = ("checked", "torn", "overtaken", "noticed", "gone", "refused", "undead")

_SIDE: Final = 16
_GRACE_NS: Final = 2_000_000
_SLOTS: Final = 48
_LONGEST_HOLD_S: Final = 0.006
_READER_KILLS: Final = 30
_WRITER_KILLS: Final = 8
# Without a picture for so long a reader looks for another ring.
_SILENT_S: Final = 0.05

Words = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]

# All but the last eight bytes of a picture. Every word of it changes with its number.
_BASE: Final[Words] = np.random.default_rng(0).integers(
    0, 2**64 - 1, _SIDE * _SIDE * 3 // 8 - 1, np.uint64, endpoint=True
)
_FACTOR: Final = 0x9E3779B97F4A7C15


def _fill(words: Words, number: int) -> None:
    np.add(_BASE, np.uint64(number * _FACTOR % 2**64), out=words[:-1])
    words[-1] = crc32(words[:-1].data)


def _is_whole(words: Words, number: int, scratch: Words) -> bool:
    np.add(_BASE, np.uint64(number * _FACTOR % 2**64), out=scratch)
    pixels = words[:-1]
    return bool((pixels == scratch).all()) and crc32(pixels.data) == int(words[-1])


def _slot(number: int) -> Slot:
    """What belongs to a picture: every field changes with its number."""
    meta_bytes = len(_meta(number))
    return Slot(
        number,
        number,
        3 * number,
        5 * number,
        7 * number,
        float(number),
        number % 3,
        number % 2,
        meta_bytes,
    )


def _meta(number: int) -> bytes:
    """Of every eighth picture, and of many lengths."""
    return b"" if number % 8 else b'{"n":%d}' % number * (number // 8 % 40)


# The hub -------------------------------------------------------------------------------------------------


def _write(name: str, epoch: int) -> None:
    """Write as fast as there are slots."""
    segment = Segment(
        name,
        SegmentHeader(
            format=PixelFormat.BGR, width=_SIDE, height=_SIDE, slots=_SLOTS, epoch=epoch, grace_ns=_GRACE_NS
        ),
    )
    image: Pixels = np.zeros((_SIDE, _SIDE, 3), np.uint8)
    words = image.reshape(-1).view(np.uint64)
    number = 1
    while True:
        _fill(words, number)
        now_ns = time.monotonic_ns()
        if segment.write(image, _slot(number), now_ns, _meta(number)):
            segment.keep_alive(now_ns)
            number += 1


# A reader ------------------------------------------------------------------------------------------------


class _Reader:
    """Looks at pictures, some of them for too long, and counts what it saw."""

    def __init__(self, ring: RingName, counts: Counts, seed: int) -> None:
        self._ring = ring
        self._counts = counts
        self._random = random.Random(seed)
        self._hold_chance = self._random.choice((0.0005, 0.002, 0.01))
        self._scratch = np.empty_like(_BASE)
        self._refused = self._followed = ""

    def run(self) -> None:
        attachment = None
        while True:
            following = self._other(attachment)
            if following is not None:
                # A ring appears when the writer of the one before is dead and gone.
                self._counts[UNDEAD] += attachment is not None and attachment.alive
                attachment = following
            if attachment is None:
                select.select((), (), (), _SILENT_S)
            else:
                self._follow(attachment)

    def _follow(self, attachment: Attachment) -> None:
        """Until it falls silent."""
        seen = max(0, attachment.newest - _SLOTS)
        while (newest := attachment.wait(seen, _SILENT_S)) != seen:
            for number in range(max(seen, newest - _SLOTS) + 1, newest + 1):
                self._look(attachment, number)
            seen = newest

    def _look(self, attachment: Attachment, number: int) -> None:
        counts = self._counts
        slot = attachment.slot(number)
        if slot is None:
            counts[GONE] += 1
            return
        picture = attachment.picture(number)
        if self._random.random() < self._hold_chance:
            select.select((), (), (), self._random.uniform(0, _LONGEST_HOLD_S))
        whole = _is_whole(picture.image.reshape(-1).view(np.uint64), number, self._scratch)
        # Fields were read at once, pixels may have been overwritten since.
        counts[TORN] += slot != _slot(number)
        if slot.meta_bytes:
            counts[TORN] += attachment.meta(slot) not in ("", _meta(number).decode())
        if picture.valid:
            counts[CHECKED] += 1
            counts[TORN] += not whole
        else:
            counts[OVERTAKEN] += 1
            counts[NOTICED] += not whole

    def _other(self, attachment: Attachment | None) -> Attachment | None:
        """Another ring than that one, if there is any."""
        for name in segments(self._ring):
            if name in (self._refused, self._followed):
                continue
            try:
                found = Attachment(name, FULL_BGR)
            except SharingError:  # its writer was killed, and what it left behind is deleted
                self._refused = name
                self._counts[REFUSED] += 1
                continue
            if found.newest:
                self._followed = name
                return found
        return None


def _read(ring: RingName, counts: Counts, seed: int) -> None:
    _Reader(ring, counts, seed).run()


# Who starts and kills them -------------------------------------------------------------------------------


class _Stress:
    def __init__(self, stream: str) -> None:
        self._ring = RingName(stream, FULL_BGR, "00000000")
        self._fork = multiprocessing.get_context("fork")
        self._random = random.Random(1)
        self._shared = mmap.mmap(-1, READERS * len(COLUMNS) * 8)
        self.table: Counts = np.frombuffer(self._shared, np.int64).reshape(READERS, len(COLUMNS))
        self._started = 0
        self._readers = [self._reader(number) for number in range(READERS)]
        self._writer = self._new_writer()

    def run(self, frames: int, limit_s: float) -> dict[str, object]:
        began_s = time.monotonic()
        reader_kills = writer_kills = 0
        next_writer = 0
        while True:
            checked = int(self.table[:, CHECKED].sum())
            enough = reader_kills >= _READER_KILLS and writer_kills >= _WRITER_KILLS and checked >= frames
            if enough or time.monotonic() - began_s >= limit_s:
                break
            ended = connection.wait([p.sentinel for p in (self._writer, *self._readers)], 0.1)
            if ended:
                raise SystemExit(f"{len(ended)} processes ended that nobody had killed")
            number = self._random.randrange(READERS)
            _end(self._readers[number])
            self._readers[number] = self._reader(number)
            reader_kills += 1
            # The writers' deaths are spread over the frames that are to be checked.
            if checked >= next_writer:
                _end(self._writer)
                writer_kills += 1
                remove_stale()
                self._writer = self._new_writer()
                next_writer += frames // (_WRITER_KILLS + 1)
        totals = dict(zip(COLUMNS, map(int, self.table.sum(axis=0)), strict=True))
        return {
            **totals,
            "idle": int((self.table[:, CHECKED] == 0).sum()),
            "readers": reader_kills,
            "writers": writer_kills,
            "seconds": round(time.monotonic() - began_s, 1),
        }

    def end(self) -> None:
        """Kill them all, and delete what they leave behind."""
        for process in (self._writer, *self._readers):
            _end(process)
        remove_stale()

    def _reader(self, number: int) -> ForkProcess:
        self._started += 1
        return self._begun(_read, self._ring, self.table[number], self._started)

    def _new_writer(self) -> ForkProcess:
        self._started += 1
        return self._begun(_write, self._ring.segment(f"{self._started:08x}"), self._started)

    def _begun(self, target: object, *arguments: object) -> ForkProcess:
        process = self._fork.Process(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        process.start()
        return process


def _end(process: ForkProcess) -> None:
    process.kill()
    process.join()
    process.close()


def main(stream: str, frames: str, limit_s: str, results: str) -> None:
    stress = _Stress(stream)
    try:
        Path(results).write_text(json.dumps(stress.run(int(frames), float(limit_s))))
    finally:
        stress.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
