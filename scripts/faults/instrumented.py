"""Producer or consumer as a user starts it, with a marked source or a checking sink inside.

    python -m scripts.faults.instrumented producer|consumer FLAGS...

SOAK_CONTROL names the file of its `FaultControl`, SOAK_OBSERVATIONS the socket that gets a datagram for
each presented frame, SOAK_MEMBER the number that this process has there. The source `test` is replaced by
one whose pictures say when they were taken; the sink `null` by one that reads that off again. All else is
the command itself.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

from fanlight.common import clock
from fanlight.common.runtime.memory import lean_process
from scripts.faults.observation import CODES, UNREADABLE, Observation, code_of, pack
from scripts.lib.fault_control import FaultControl, Mode


def main() -> int:
    """Run the command; its exit code."""
    lean_process()
    role, flags = sys.argv[1], sys.argv[2:]
    control = FaultControl(Path(os.environ["SOAK_CONTROL"]))
    clock.wall_ns = control.wall_ns
    if role == "producer":
        return _producer(flags, control)
    return _consumer(flags)


def _producer(flags: list[str], control: FaultControl) -> int:
    import av

    import fanlight.producer.source as sources
    from fanlight.common.clock import monotonic_ns
    from fanlight.producer.source.base import Captured, Source
    from fanlight.producer.source.frame_code import MODULUS, draw_frame_number
    from fanlight.producer.source.pacing import Clock, Pacer, interval_ns
    from fanlight.producer.source.test_pattern import TestPattern
    from fanlight.producer.stats import Drops

    class MarkedSource:
        """The test pattern; the time of its capture is burnt in three times."""

        live = True
        wait_s = 0.0

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
            while control.mode is Mode.STALLED and not self._interrupted.wait(0.02):
                pass
            mode = control.mode
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
                return Captured(av.VideoFrame(64, 48, "xv30be"), capture_ns)  # libswscale cannot read it
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

    def make_source(spec: str, *, fps: float | None, size: tuple[int, int] | None, **_: object) -> Source:
        del spec
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

    member, channel = int(os.environ["SOAK_MEMBER"]), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    channel.setblocking(False)

    class CheckingSink(Sink):
        """Reports what every picture says of itself."""

        def present(self, frame: Frame) -> None:
            image = frame.image
            height = image.shape[0]
            codes = [read_frame_number(image[: height * part // CODES]) for part in range(1, CODES + 1)]
            if not frame.valid:
                return  # the pixels were overwritten meanwhile, and the consumer knows
            top, middle, bottom = (UNREADABLE if code is None else code for code in codes)
            header = frame.header
            observed = Observation(
                member, header.epoch, header.seq, header.capture_ns, frame.presented_ns, monotonic_ns(),
                (top, middle, bottom), header.stream,
            )  # fmt: skip
            try:
                channel.sendto(pack(observed), os.environ["SOAK_OBSERVATIONS"])
            except OSError:
                return  # the rig counts what it receives

    null.NullSink = CheckingSink  # type: ignore[assignment, misc]
    from fanlight.consumer.cli import main as command

    return command(flags)


if __name__ == "__main__":
    sys.exit(main())
