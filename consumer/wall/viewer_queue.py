"""What one viewer gets of one stream: bounded, and dropped up to the next keyframe if it is too slow."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from fanlight.common import clock
from fanlight.common.model.errors import FanlightError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.consumer.wall.message import Description, Kind, binary

_MOST_BYTES: Final = 1024 * 1024
_MOST_FRAMES: Final = 256
_LONGEST_WAIT_NS: Final = 300_000_000
# A keyframe supersedes what waits before it, if the viewer is this far behind.
_BEHIND_NS: Final = 50_000_000


class Drop(StrEnum):
    """Why a viewer does not get a frame."""

    SLOW = "slow"
    """It waited for too long, or too much waited."""
    SUPERSEDED = "superseded"
    """The viewer was behind, and a keyframe came."""
    AWAITING_KEY = "awaiting_key"
    """It refers to frames that were dropped."""
    CLEARED = "cleared"
    """The viewer asked for a new beginning, or did not acknowledge what it had got."""


class LiveFrame:
    """A frame on its way to the viewers, who share it and the messages made of it.

    Attributes:
        frame: as it came, or a picture made of it.
        gateway_ns: capture time by the gateway's Unix clock.
        discontinuity: the decoder has to be reset before this frame.
        arrived_ns: monotonic time at which it came.
        description: what the messages contain; None where none are made.
        fragment: the frame as a fragment of MP4, where that is wanted.
        init: the segment that has to precede the first fragment.
    """

    __slots__ = (
        "_message", "_restarted", "arrived_ns", "description", "discontinuity", "fragment", "frame",
        "gateway_ns", "init",
    )  # fmt: skip

    def __init__(
        self,
        frame: EncodedFrame,
        gateway_ns: int,
        discontinuity: bool,
        description: Description | None = None,
        *,
        arrived_ns: int = 0,
        fragment: bytes | None = None,
        init: bytes = b"",
    ) -> None:
        self.frame = frame
        self.gateway_ns = gateway_ns
        self.discontinuity = discontinuity
        self.description = description
        self.arrived_ns = arrived_ns
        self.fragment = fragment
        self.init = init
        self._message: bytes | None = None
        self._restarted: LiveFrame | None = None

    def restarted(self) -> LiveFrame:
        """The same frame, for viewers that did not get the one before it."""
        if self.discontinuity:
            return self
        if self._restarted is None:
            self._restarted = self.described(self.description, fragment=self.fragment, init=self.init)
            self._restarted.discontinuity = True
        return self._restarted

    def described(
        self, description: Description | None, *, fragment: bytes | None = None, init: bytes = b""
    ) -> LiveFrame:
        """The same frame with other messages."""
        return LiveFrame(
            self.frame, self.gateway_ns, self.discontinuity, description,
            arrived_ns=self.arrived_ns, fragment=fragment, init=init,
        )  # fmt: skip

    def message(self) -> bytes:
        """The binary message: the same object for all viewers."""
        if self._message is None:
            if self.fragment is not None:
                self._message = self._binary(Kind.MP4_FRAGMENT, self.fragment)
            else:
                kind = Kind.H264 if self.frame.header.codec is Codec.H264 else Kind.JPEG
                self._message = self._binary(kind, self.frame.body)
        return self._message

    def init_message(self) -> bytes:
        """The binary message that precedes the first fragment."""
        return self._binary(Kind.MP4_INIT, self.init)

    def _binary(self, kind: Kind, body: bytes) -> bytes:
        assert self.description is not None  # noqa: S101 - those of feeds have one
        number, header = self.description.number, self.frame.header
        return binary(kind, number, header, self.gateway_ns, body, discontinuity=self.discontinuity)


class ViewerQueue:
    """Belongs to the event loop. `push` and `take` are pure but for `want_key`; `get` waits.

    A viewer that is behind is served from the next keyframe on, which it asks for when it reads again: one
    that does not read causes no keyframes.

    Args:
        want_key: asks the stream for a keyframe; may be called often.
        on_ready: called when a frame, or the end, can be taken.

    Attributes:
        joined_ns: monotonic time at which it was made.
        drops: number of frames that this viewer did not get, by reason.
        awaiting_key: whether nothing can be taken before the next keyframe.
    """

    def __init__(
        self,
        want_key: Callable[[], None],
        on_ready: Callable[[], None] | None = None,
        *,
        now_ns: Callable[[], int] = clock.monotonic_ns,
    ) -> None:
        self._want_key = want_key
        self._on_ready = on_ready
        self._now_ns = now_ns
        self.joined_ns = now_ns()
        # Each with its time of arrival.
        self._frames: deque[tuple[LiveFrame, int]] = deque()
        self._bytes = 0
        self._restart = False
        self._failure: FanlightError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.drops: Counter[Drop] = Counter()
        self.awaiting_key = True

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def failure(self) -> FanlightError | None:
        """Why no frames will come any more; None while they may."""
        return self._failure

    async def get(self) -> LiveFrame:
        """Wait for the next frame; the first one is a keyframe. For one task.

        Raises:
            FanlightError: the stream cannot be received any more.
        """
        while (live := self.take(self._now_ns())) is None:
            if self._failure is not None:
                raise self._failure
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return live

    def push(self, live: LiveFrame, now_ns: int) -> None:
        """Queue a frame, in stream order; `now_ns` is monotonic."""
        key = live.frame.header.key
        if self.awaiting_key and not key:
            self.drops[Drop.AWAITING_KEY] += 1
            return
        if self._frames:
            if key and now_ns - self._frames[0][1] > _BEHIND_NS:
                self._restart |= any(each.discontinuity for each, _ in self._frames)
                self._drop_all(Drop.SUPERSEDED)
            elif self._exceeds(len(live.frame.body), now_ns):
                self._break(Drop.SLOW)
                if not key:
                    self.drops[Drop.AWAITING_KEY] += 1
                    return
        self.awaiting_key = False
        if self._restart:
            self._restart, live = False, live.restarted()
        self._frames.append((live, now_ns))
        self._bytes += len(live.frame.body)
        if len(self._frames) == 1:
            self._ready()

    def take(self, now_ns: int) -> LiveFrame | None:
        """The next frame, if one waits; `now_ns` is monotonic."""
        if self._frames and now_ns - self._frames[0][1] > _LONGEST_WAIT_NS:
            self._break(Drop.SLOW)
        if not self._frames:
            if self.awaiting_key:
                self._want_key()
            return None
        live, _ = self._frames.popleft()
        self._bytes -= len(live.frame.body)
        return live

    def clear(self) -> None:
        """Drop what waits and what comes, up to the next keyframe."""
        self._break(Drop.CLEARED)

    def end(self, failure: FanlightError) -> None:
        """No more frames will come."""
        self._failure = failure
        self._ready()

    def _exceeds(self, size_bytes: int, now_ns: int) -> bool:
        return (
            self._bytes + size_bytes > _MOST_BYTES
            or len(self._frames) >= _MOST_FRAMES
            or now_ns - self._frames[0][1] > _LONGEST_WAIT_NS
        )

    def _break(self, why: Drop) -> None:
        self._drop_all(why)
        self.awaiting_key = self._restart = True

    def _drop_all(self, why: Drop) -> None:
        self.drops[why] += len(self._frames)
        self._frames.clear()
        self._bytes = 0

    def _ready(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self._on_ready is not None:
            self._on_ready()
