"""What a publisher or a subscriber told its owner, in order, for tests without a producer or consumer."""

from __future__ import annotations

import queue
import threading
import time

from fanlight.common.model.control import ClockReply, ControlMessage
from fanlight.common.model.errors import FanlightError, WireFormatError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.common.transport import PublisherEvents, SubscriberEvents
from tests.support.headers import header
from tests.support.timing import scaled


class Events(PublisherEvents, SubscriberEvents):
    """Both `PublisherEvents` and `SubscriberEvents`. Thread-safe.

    Attributes:
        frames: those that came.
        said: the name of everything else that was told.
        threads: names of those that told it.
    """

    def __init__(self) -> None:
        self.frames: queue.Queue[EncodedFrame] = queue.Queue()
        self.said: queue.Queue[str] = queue.Queue()
        self.threads: set[str] = set()

    def frame(self) -> EncodedFrame:
        """The next one."""
        return self.frames.get(timeout=scaled(15))

    def wait(self, what: str, timeout_s: float = 15.0) -> None:
        """Wait for this event; those before it are forgotten. Raises `queue.Empty`: not in time."""
        deadline_s = time.monotonic() + scaled(timeout_s)
        while self.said.get(timeout=max(0.0, deadline_s - time.monotonic())) != what:
            pass

    def _say(self, what: str) -> None:
        self.threads.add(threading.current_thread().name)
        self.said.put(what)

    def on_frame(self, frame: EncodedFrame, _received_ns: int) -> None:
        self.threads.add(threading.current_thread().name)
        self.frames.put(frame)

    def on_malformed(self, error: WireFormatError) -> None:
        self._say(f"malformed {error.field}")

    def on_connected(self) -> None:
        self._say("connected")

    def on_following(self) -> None:
        self._say("following")

    def on_disconnected(self) -> None:
        self._say("disconnected")

    def on_blocked(self, blocked: bool) -> None:
        self._say("blocked" if blocked else "unblocked")

    def on_clock(self, reply: ClockReply) -> None:
        self._say(f"clock {reply.asked_ns}")

    def on_tick(self) -> None:
        self._say("tick")

    def on_failed(self, error: FanlightError) -> None:
        self._say(f"failed {type(error).__name__}")

    def on_control(self, message: ControlMessage) -> None:
        self._say(f"control {message.TYPE}")

    def on_keyframe_needed(self) -> None:
        self._say("keyframe needed")

    def on_stale(self) -> None:
        self._say("stale")

    def on_unsent(self, frames: int) -> None:
        self._say(f"unsent {frames}")

    def on_refused(self) -> None:
        self._say("refused")


def frame(stream: str, seq: int, age_s: float = 0.0) -> EncodedFrame:
    """A small raw picture, captured so long ago."""
    capture_ns = time.time_ns() - int(age_s * 1e9)
    return EncodedFrame(header(seq, Codec.RAW, (2, 1), stream=stream, capture_ns=capture_ns), bytes(6))
