"""Frames and sources for the tests of the wall."""

from __future__ import annotations

from collections.abc import Callable

from fanlight.common.model.errors import FanlightError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.common.model.result import Result
from fanlight.consumer.wall.source import OnFrame
from fanlight.consumer.wall.viewer_queue import LiveFrame
from tests.support.headers import header

MS = 1_000_000


def frame(
    seq: int, of: Codec = Codec.H264, *, key: bool | None = None, size_bytes: int = 100, epoch: int = 7
) -> EncodedFrame:
    """A frame whose body is no picture. Each tenth is a keyframe, unless `key` says otherwise."""
    is_key = of.intra_only or (seq % 10 == 0 if key is None else key)
    return EncodedFrame(header(seq, of, (64, 48), key=is_key, epoch=epoch), bytes(size_bytes))


def live(seq: int, of: Codec = Codec.H264, *, key: bool | None = None, size_bytes: int = 100) -> LiveFrame:
    return LiveFrame(frame(seq, of, key=key, size_bytes=size_bytes), 0, False)


class ScriptedResults:
    """Results that the test sends; see `consumer.wall.result_feed.ResultSource`."""

    def __init__(
        self, stream: str, on_result: Callable[[Result], None], on_failed: Callable[[FanlightError], None]
    ) -> None:
        self.stream = stream
        self.send = on_result
        self.fail = on_failed
        self.started = self.stopped = False
        self.refused = self.excess = 0

    def start(self) -> None:
        self.started = True

    def stop(self, timeout_s: float) -> None:
        self.stopped = timeout_s > 0


class ScriptedSource:
    """A source that sends what the test says; see `consumer.wall.source.Source`."""

    def __init__(self, stream: str, on_frame: OnFrame, on_failed: Callable[[FanlightError], None]) -> None:
        self.stream = stream
        self.send = on_frame
        self.fail = on_failed
        self.started = self.stopped = False
        self.key_requests = 0
        self.reason = "connected, but nothing arrives"

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.stopped = True

    def request_key(self) -> None:
        self.key_requests += 1

    def why_none(self) -> str:
        return self.reason
