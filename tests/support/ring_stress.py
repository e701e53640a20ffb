"""One writer and several readers on a small ring, as fast as they can; nobody waits for anybody.

A program of its own, for Pythons that have neither pytest nor numpy, such as a free-threaded one:
`python -m tests.support.ring_stress [LAPS]` prints one line of JSON, and what was wrong if anything was.
"""

from __future__ import annotations

import json
import random
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from fanlight.common.transport.tcp.ring import Cursor, Payload, PayloadRing

CAPACITY: Final = 8
LAPS: Final = 2_000
# Without a GIL, and with fewer processors than threads, all this spinning takes its time.
_LONGEST_S: Final = 60.0
_LONGEST_LAP_S: Final = 0.05
# So often threads are changed under the GIL; 5 ms are usual.
SWITCH_S: Final = 1e-6

# Number of the payload, frames before it, frames in it, whether it begins with a keyframe; then some
# filling, and the checksum of it all.
_HEAD: Final = struct.Struct(">QQB?")
_SUM: Final = struct.Struct(">I")
_LONGEST_FILLING: Final = 600
_MOST_FRAMES: Final = 3
# Some are further apart than the ring is long: whoever is lapped then has to wait for the next.
_MOST_BETWEEN_KEYS: Final = 4 * CAPACITY
_WRITER_WORK: Final = (0, 0, 0, 0, 0, 0, 40, 200)
_NEVER_STALE: Final = 2**62
_LOOK_AT_CLOCK_EVERY: Final = 4096


@dataclass(frozen=True, slots=True)
class Pace:
    """How one reader differs from the others.

    Attributes:
        work: how many times more than needed it sums up each payload.
        stale: payloads that are so many behind the writer are too old for it; a time of this ring's own.
        joins: the share of all payloads that are written before it comes.
    """

    work: int
    stale: int = _NEVER_STALE
    joins: float = 0.0


PACES: Final = (
    Pace(work=0),
    Pace(work=1, joins=0.25),
    Pace(work=4, stale=CAPACITY // 2),
    Pace(work=20, joins=0.5),
    Pace(work=100),
    Pace(work=400, stale=CAPACITY // 4),
)


@dataclass(slots=True)
class Result:
    """What was seen, all readers together.

    Attributes:
        received: payloads of which each was checked.
        lost: frames that a reader missed, as its cursor says and its numbers prove.
        gaps: how often a reader had to go on with a later payload.
        dry: how often it was lapped and there was no keyframe to go on with.
        least: payloads of the reader that got the fewest.
        wrong: what must not be; empty if all is well.
    """

    laps: int = 0
    received: int = 0
    lost: int = 0
    gaps: int = 0
    dry: int = 0
    least: int = 0
    gil: bool = True
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


def gil_enabled() -> bool:
    """False in a free-threaded Python that runs as one."""
    ask: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)
    return ask()


def made(number: int, first: int, frames: int, *, key: bool, filling: bytes) -> bytes:
    """The data of one payload."""
    data = _HEAD.pack(number, first, frames, key) + filling
    return data + _SUM.pack(crc32(data))


def wrong_with(payload: Payload) -> str | None:
    """What is not as it was written."""
    data = payload.data
    if data is None:
        return f"payload {payload.number} has no data"
    if _SUM.unpack(data[-_SUM.size :])[0] != crc32(data[: -_SUM.size]):
        return f"payload {payload.number}: checksum"
    said = (payload.number, payload.first, payload.frames, payload.key)
    written = _HEAD.unpack_from(data)
    return None if said == written and payload.captured_ns == payload.number else f"{said} was {written}"


class _Writer(threading.Thread):
    def __init__(self, ring: PayloadRing, total: int, seed: int) -> None:
        super().__init__(name="writer", daemon=True)
        self._ring = ring
        self._total = total
        self._random = random.Random(seed)
        self.frames = 0

    def run(self) -> None:
        filling = self._random.randbytes(_LONGEST_FILLING)
        next_key = 0
        for number in range(self._total):
            # The last one is what every reader can end with.
            key = number in (next_key, self._total - 1)
            if key:
                next_key = number + self._random.randint(1, _MOST_BETWEEN_KEYS)
            frames = self._random.randint(1, _MOST_FRAMES)
            size = self._random.randint(0, _LONGEST_FILLING)
            data = made(number, self.frames, frames, key=key, filling=filling[:size])
            self._ring.put(data, frames=frames, key=key, captured_ns=number)
            self.frames += frames
            # Now the writer laps everybody, now they catch up.
            _work(self._random.choice(_WRITER_WORK), filling)


class _Reader(threading.Thread):
    def __init__(self, ring: PayloadRing, total: int, pace: Pace, give_up_s: float) -> None:
        super().__init__(name=f"reader {pace}", daemon=True)
        self._ring = ring
        self._total = total
        self._pace = pace
        self._give_up_s = give_up_s
        self.before = self.frames = self.lost = 0
        self.received = self.gaps = self.dry = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        ring, total = self._ring, self._total
        join_at = int(self._pace.joins * total)
        self._spin(lambda: ring.written >= join_at)
        cursor = Cursor(ring, stale_ns=self._pace.stale, now_ns=ring.written)
        last: Payload | None = None
        while not self.wrong and (last is None or last.number < total - 1):
            payload: Payload | None = None

            def came() -> bool:
                nonlocal payload
                payload = cursor.next(ring.written)
                return payload is not None

            self._spin(came)
            if payload is not None:
                self._check(payload, last, cursor)
                last = payload

    def _spin(self, done: Callable[[], bool]) -> None:
        """Wait by looking again and again: whatever lets a thread sleep would put all in good order."""
        looks = 0
        while not done():
            looks += 1
            if looks % _LOOK_AT_CLOCK_EVERY == 0 and time.monotonic() > self._give_up_s:
                self.wrong.append("waited for too long")
                return

    def _check(self, payload: Payload, last: Payload | None, cursor: Cursor) -> None:
        wrong = wrong_with(payload)
        if wrong is not None:
            self.wrong.append(wrong)
        if last is None:
            self.before = payload.first
            if not payload.key:
                self.wrong.append(f"began with payload {payload.number}, which is no keyframe")
        elif payload.number <= last.number:
            self.wrong.append(f"payload {payload.number} came after {last.number}")
        elif payload.number > last.number + 1:
            self.gaps += 1
            self.lost += payload.first - (last.first + last.frames)
            if not payload.key:
                self.wrong.append(f"went on with payload {payload.number}, which is no keyframe")
        self.received += 1
        self.frames += payload.frames
        if cursor.lost != self.lost:
            self.wrong.append(f"{cursor.lost} lost by the cursor, {self.lost} by the numbers")
        self.dry += cursor.needs_key
        cursor.needs_key = False
        _work(self._pace.work, payload.data or b"")


def _work(times: int, data: bytes) -> None:
    for _ in range(times):
        crc32(data)


@contextmanager
def hurried_switching() -> Iterator[None]:
    """Change threads as often as the interpreter can be made to."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)


def run(laps: int = LAPS, *, seed: int = 1) -> Result:
    """The writer goes round the ring so many times."""
    ring, total = PayloadRing(CAPACITY), laps * CAPACITY
    began_s = time.monotonic()
    give_up_s = began_s + max(_LONGEST_S, laps * _LONGEST_LAP_S)
    writer = _Writer(ring, total, seed)
    readers = [_Reader(ring, total, pace, give_up_s) for pace in PACES]
    result = Result(laps=laps, gil=gil_enabled())
    with hurried_switching():
        for thread in (*readers, writer):
            thread.start()
        for thread in (*readers, writer):
            thread.join(max(0.0, give_up_s + 1 - time.monotonic()))
    result.seconds = round(time.monotonic() - began_s, 2)
    for reader in readers:
        result.received += reader.received
        result.lost += reader.lost
        result.gaps += reader.gaps
        result.dry += reader.dry
        result.wrong += (f"{reader.name}: {what}" for what in reader.wrong)
        counted = reader.before + reader.frames + reader.lost
        if counted != writer.frames:
            result.wrong.append(f"{reader.name}: counted {counted} of {writer.frames} frames")
    result.least = min(reader.received for reader in readers)
    if ring.written != total:
        result.wrong.append(f"{ring.written} of {total} payloads were written")
    return result


def main(laps: str = str(LAPS)) -> int:
    result = run(int(laps))
    summary = {
        "laps": result.laps,
        "payloads": result.received,
        "lost": result.lost,
        "gaps": result.gaps,
        "dry": result.dry,
        "gil": result.gil,
        "seconds": result.seconds,
        "wrong": result.wrong[:10],
    }
    sys.stdout.write(f"{json.dumps(summary)}\n")
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
