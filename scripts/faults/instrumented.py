"""Producer or consumer as a user starts it, with a marked source or a checking sink inside.

    python -m scripts.faults.instrumented producer|consumer FLAGS...

SOAK_LEVERS names the file of `levers.Levers`, SOAK_SEEN the socket that is told of presented frames,
SOAK_MEMBER the number that this process has there. The source `test` is replaced by one whose pictures
say when they were taken; the sink `null` by one that reads that off again. All else is the command itself.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

from fanlight.common import clock
from fanlight.common.runtime.memory import lean_process
from scripts.faults.levers import Levers, Mode
from scripts.faults.seen import CODES, UNREADABLE, Seen, code_of, pack
from scripts.lib.stepped_clock import stepped


def main() -> int:
    """Run the command; its exit code."""
    lean_process()
    role, flags = sys.argv[1], sys.argv[2:]
    place = Path(os.environ["SOAK_LEVERS"])
    levers = Levers(place)
    clock.wall_ns = stepped(place)
    if role == "producer":
        return _producer(flags, levers)
    return _consumer(flags)


def _producer(flags: list[str], levers: Levers) -> int:
    import numpy as np

    import fanlight.producer.source as sources
    from fanlight.common.clock import monotonic_ns
    from fanlight.common.model.frame import MAX_SIDE
    from fanlight.producer.source.base import Captured, Source
    from fanlight.producer.source.frame_code import MODULUS, draw_frame_number
    from fanlight.producer.source.pacing import Clock, Pacer, interval_ns
    from fanlight.producer.source.test_pattern import TestPattern
    from fanlight.producer.stats import Drops

    class MarkedSource:
        """The test pattern; the time of its capture is burnt in three times."""

        live = True

        def __init__(self, size: tuple[int, int], fps: float) -> None:
            self.fps = fps
            self.drops = Drops()
            self._patterns = {
                Mode.STEADY: TestPattern(size, fps),
                Mode.SMALL: TestPattern((size[0] // 2, size[1] // 2), fps),
            }
            self._interrupted = threading.Event()
            self._number = 0
            self._pacer = Pacer()
            self._mode = Mode.STEADY

        def open(self) -> None:
            self._pacer, self._number = Pacer(), 0

        def read(self) -> Captured | None:
            while levers.mode is Mode.STALLED and not self._interrupted.wait(0.02):
                pass
            mode = levers.mode
            if mode is not self._mode:
                self._mode = mode
                self.open()
            due_ns = self._pacer.deadline_ns(self._number * interval_ns(self.fps), monotonic_ns())
            self._number += 1
            if mode is not Mode.FLOODING and not Clock().wait_until(due_ns, self._interrupted):
                return None
            if self._interrupted.is_set():
                return None
            capture_ns = clock.wall_ns()
            if mode is Mode.REFUSED:
                return Captured(np.zeros((2, MAX_SIDE + 2, 3), np.uint8), capture_ns)
            pattern = self._patterns[Mode.SMALL if mode is Mode.SMALL else Mode.STEADY]
            image = pattern.draw(self._number, capture_ns)
            height = image.shape[0]
            for part in range(1, CODES + 1):
                draw_frame_number(image[: height * part // CODES], code_of(capture_ns, MODULUS))
            return Captured(image, capture_ns)

        def interrupt(self) -> None:
            self._interrupted.set()

        def close(self) -> None:
            pass

        def __str__(self) -> str:
            return "marked pattern"

    def make_source(
        spec: str, *, loop: bool, fps: float | None, size: tuple[int, int] | None, max_pixels: int = 0
    ) -> Source:
        del spec, loop, max_pixels
        return MarkedSource(size or (640, 360), fps or 30.0)

    sources.make_source = make_source
    from fanlight.producer.cli import main as command

    return command(flags)


def _consumer(flags: list[str]) -> int:
    from fanlight.common.clock import monotonic_ns
    from fanlight.consumer.frame import Frame
    from fanlight.consumer.sinks import null
    from fanlight.consumer.sinks.base import Sink
    from fanlight.producer.source.frame_code import read_frame_number

    member, told = int(os.environ["SOAK_MEMBER"]), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.setblocking(False)

    class CheckingSink(Sink):
        """Tells what every picture says of itself."""

        def present(self, frame: Frame) -> None:
            image = frame.image
            height = image.shape[0]
            codes = [read_frame_number(image[: height * part // CODES]) for part in range(1, CODES + 1)]
            if not frame.valid:
                return  # what was read is worth nothing, and the consumer knows
            top, middle, bottom = (UNREADABLE if code is None else code for code in codes)
            header = frame.header
            seen = Seen(
                member, header.epoch, header.seq, header.capture_ns, frame.presented_ns, monotonic_ns(),
                (top, middle, bottom), header.stream,
            )  # fmt: skip
            try:
                told.sendto(pack(seen), os.environ["SOAK_SEEN"])
            except OSError:
                return  # the rig counts what it hears of

    null.NullSink = CheckingSink  # type: ignore[assignment, misc]
    from fanlight.consumer.cli import main as command

    return command(flags)


if __name__ == "__main__":
    sys.exit(main())
