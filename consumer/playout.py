"""Decides when each frame is presented. Pure: the time is an argument, decisions are return values.

Frames are queued encoded, and decoded when they are due: this takes a hundredth of the memory, and frames
that a keyframe supersedes are never decoded. Both queues are bounded. The types are named tuples: as
immutable as frozen dataclasses, and created in a third of the time.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Final, NamedTuple, Protocol

from fanlight.common.model.frame import EncodedFrame, FrameHeader
from fanlight.consumer.stats import Outcome

# `sync` queues at most this many frames per second of delay.
_HIGHEST_FPS: Final = 240
# `latest` queues at most this many frames since a keyframe: 10 s at 60 fps.
LONGEST_CHAIN: Final = 600
MOST_BYTES: Final = 32 * 1024 * 1024

# In frame intervals before a frame is due: when to start decoding it and later ones, and when to stop.
# The rest of each interval is for presenting, at the same time on all screens.
_BEGIN_AHEAD: Final = 0.9
_STOP_AHEAD: Final = 0.3
MOST_DECODED_AHEAD: Final = 4
_LONGEST_INTERVAL_NS: Final = 3600 * 1_000_000_000
# A capture time this far before the previous frame's: the producer's clock stepped back.
_STEP_NS: Final = 200_000_000
# A process with another late frame within this time cannot keep up.
_LAGGING_NS: Final = 1_000_000_000


class ReceivedFrame(NamedTuple):
    """A frame that arrived in stream order, with all its references.

    Attributes:
        received_ns: Unix time of arrival.
        lost_before: total of lost frames when it arrived.
        reset: True if the decoder must be reset before this frame.
        showable: False if it was too old on arrival, and is only needed as a reference.
    """

    frame: EncodedFrame
    received_ns: int
    lost_before: int
    reset: bool = False
    showable: bool = True

    @property
    def header(self) -> FrameHeader:
        return self.frame.header


class Dropped(NamedTuple):
    """A frame that will not be shown, and why. Later frames may still need it as a reference."""

    frame: ReceivedFrame
    outcome: Outcome


class Pushed(NamedTuple):
    """The result of `push`.

    Attributes:
        dropped: frames dropped from the queue.
        broken: True if references were dropped: no frame can be shown before the next keyframe.
    """

    dropped: tuple[Dropped, ...] = ()
    broken: bool = False


KEPT: Final = Pushed()
"""The frame is queued; nothing else has changed."""


class PlayoutStep(NamedTuple):
    """The result of `take`: what to do now.

    Attributes:
        frame: to be shown now, if any.
        due_ns: its playout time (Unix), past or in the near future; None with `latest`.
        dropped: frames dropped from the queue.
        wait_ns: time until the next frame is due; None if only a new frame can change anything.
        decode_ahead: a frame that is due soon and may be decoded now; in order, each once.
        prepare: the frame that is due next, to be decoded and converted now; once.
        decode: references of `frame`, or of later frames, that are not shown themselves; in order.
    """

    frame: ReceivedFrame | None = None
    due_ns: int | None = None
    dropped: tuple[Dropped, ...] = ()
    wait_ns: int | None = None
    decode_ahead: ReceivedFrame | None = None
    prepare: ReceivedFrame | None = None
    decode: tuple[ReceivedFrame, ...] = ()


IDLE: Final = PlayoutStep()
"""The queue is empty."""


class Playout(Protocol):
    """Which frame is presented when. Not thread-safe.

    Attributes:
        eager: whether `push` gives `take` something to do before any frame is due.
    """

    eager: bool

    def __len__(self) -> int: ...

    def push(self, arrived: ReceivedFrame) -> Pushed:
        """Queue a frame, in stream order."""
        ...

    def take(self, now_ns: int) -> PlayoutStep:
        """What to do at `now_ns` (Unix time); `IDLE` if the queue is empty."""
        ...

    def clear(self) -> tuple[Dropped, ...]:
        """Drop all frames."""
        ...


class LatestPlayout:
    """Presents the newest frame at once. A slow presenter skips frames.

    The references of the newest frame are kept until it is taken, or a keyframe arrives.
    """

    eager = False

    def __init__(self, max_age_ns: int) -> None:
        self._max_age_ns = max_age_ns
        self._chain: list[ReceivedFrame] = []
        self._bytes = 0

    def push(self, arrived: ReceivedFrame) -> Pushed:
        """Queue a frame; the frames that it supersedes are dropped."""
        chain = self._chain
        dropped: tuple[Dropped, ...] = ()
        if chain:
            newest = chain[-1]
            if newest.showable:
                # A frame before one that is too old is too old as well.
                outcome = Outcome.SUPERSEDED if arrived.showable else Outcome.LATE
                dropped = (Dropped(newest, outcome),)
            if arrived.frame.header.key:
                if any(old.reset for old in chain):
                    arrived = arrived._replace(reset=True)  # a superseded frame had to reset the decoder
                self._clear()
            elif len(chain) >= LONGEST_CHAIN or self._bytes > MOST_BYTES:
                self._clear()
                if arrived.showable:
                    dropped = (*dropped, Dropped(arrived, Outcome.AWAITING_KEY))
                return Pushed(dropped, broken=True)
        chain.append(arrived)
        self._bytes += len(arrived.frame.body)
        return Pushed(dropped) if dropped else KEPT

    def __len__(self) -> int:
        return len(self._chain)

    def take(self, now_ns: int) -> PlayoutStep:
        chain = self._chain
        if not chain:
            return IDLE
        newest = chain[-1]
        if newest.showable and now_ns - newest.frame.header.capture_ns <= self._max_age_ns:
            step = PlayoutStep(newest, None, (), None, None, None, tuple(chain[:-1]))
        else:
            dropped = (Dropped(newest, Outcome.LATE),) if newest.showable else ()
            step = PlayoutStep(dropped=dropped, decode=tuple(chain))
        self._clear()
        return step

    def clear(self) -> tuple[Dropped, ...]:
        # The one that the newest supersedes was returned when that came.
        dropped = tuple(Dropped(old, Outcome.AWAITING_KEY) for old in self._chain[-1:] if old.showable)
        self._clear()
        return dropped

    def _clear(self) -> None:
        self._chain.clear()
        self._bytes = 0


class LatenessRule:
    """Decides whether the newest due frame is still shown, although late.

    A frame late by more than half a frame interval is dropped: the next one is nearer to what the other
    screens show. If this happens again within a second, the process cannot keep up: it then shows what it
    has decoded, since dropping it would only waste the work.
    """

    def __init__(self) -> None:
        self._late_ns: int | None = None

    def superseded(self, now_ns: int) -> None:
        """A frame was superseded before it was shown."""
        self._late_ns = now_ns

    def lagging(self, now_ns: int) -> bool:
        """Whether a frame was late, or superseded, within the last second."""
        return self._late_ns is not None and 0 <= now_ns - self._late_ns <= _LAGGING_NS

    def shows(self, late_ns: int, fps: float, now_ns: int) -> bool:
        """Whether to show a frame that is `late_ns` past its playout time."""
        if late_ns <= 500_000_000 / fps:
            return True
        lagging = self.lagging(now_ns)
        self._late_ns = now_ns
        return lagging


class SyncPlayout:
    """Presents every frame at `capture_ns + delay`, so that all screens show the same one at the same time.

    Args:
        decoded_ahead: frames that are decoded before they are due next, up to `MOST_DECODED_AHEAD`. A
            keyframe takes five times as long as another frame: screens of one host that take different
            numbers decode it at different times, and all are in time for the frames before it.
    """

    def __init__(self, delay_ns: int, max_age_ns: int, decoded_ahead: int = MOST_DECODED_AHEAD) -> None:
        self._decoded_ahead = decoded_ahead
        self._delay_ns = delay_ns
        self._max_age_ns = max_age_ns
        self._capacity = 8 + delay_ns * _HIGHEST_FPS // 1_000_000_000
        self._frames: deque[ReceivedFrame] = deque()
        self._lateness = LatenessRule()
        self.eager = False
        # How many of the first frames were returned as `decode_ahead`; whether the first was as `prepare`.
        self._begun = 0
        self._prepared = False
        # How many frames, from the first, are not shown. The frames themselves are not changed: `Decoding`
        # compares by identity, and would decode a copy again.
        self._set_aside = 0

    def __len__(self) -> int:
        return len(self._frames)

    def push(self, arrived: ReceivedFrame) -> Pushed:
        frames = self._frames
        if frames and frames[-1].header.epoch != arrived.header.epoch:
            # The producer restarted: its earlier frames are obsolete.
            dropped = self._give_up(len(frames))
            frames.append(arrived)
            return Pushed(dropped)
        dropped = ()
        if frames and frames[-1].header.capture_ns - arrived.header.capture_ns > _STEP_NS:
            dropped = self._clock_was_set()
        frames.append(arrived)
        if len(frames) <= self._capacity:
            return Pushed(dropped) if dropped else KEPT
        keys = (at for at, frame in enumerate(islice(frames, 1, None), 1) if frame.header.key)
        key_at = next(keys, None)
        dropped += self._give_up(len(frames) if key_at is None else key_at)
        return Pushed(dropped, broken=key_at is None)

    def take(self, now_ns: int) -> PlayoutStep:
        due: list[ReceivedFrame] = []
        begun, set_aside = self._begun, self._set_aside
        while self._frames and self._is_due(self._frames[0], now_ns):
            due.append(self._pop())
        if not due:
            return self._between(now_ns)
        dropped = [Dropped(old, Outcome.SUPERSEDED) for old in due[set_aside:-1] if old.showable]
        superseded = bool(dropped)
        newest: ReceivedFrame | None = due[-1]
        if not due[-1].showable or set_aside >= len(due):
            newest = None
        elif self._too_late(due[-1], now_ns):
            newest = None
            dropped.append(Dropped(due[-1], Outcome.LATE))
        if superseded:
            self._lateness.superseded(now_ns)
        decode = _since_keyframe(due, begun)
        if newest is not None:
            newest = decode.pop()
        due_ns = None if newest is None else self._due_ns(newest)
        return PlayoutStep(newest, due_ns, tuple(dropped), decode=tuple(decode))

    def clear(self) -> tuple[Dropped, ...]:
        return self._give_up(len(self._frames), Outcome.AWAITING_KEY)

    def _clock_was_set(self) -> tuple[Dropped, ...]:
        """Frames stamped before the clock was set have no meaningful playout time: they are not shown."""
        shown_no_more = islice(self._frames, self._set_aside, None)
        dropped = tuple(Dropped(old, Outcome.SUPERSEDED) for old in shown_no_more if old.showable)
        self._set_aside = len(self._frames)
        return dropped

    def _is_due(self, arrived: ReceivedFrame, now_ns: int) -> bool:
        return self._set_aside > 0 or not arrived.showable or self._due_ns(arrived) <= now_ns

    def _give_up(self, count: int, outcome: Outcome = Outcome.SUPERSEDED) -> tuple[Dropped, ...]:
        begun, set_aside = self._begun, self._set_aside
        given_up = [self._pop() for _ in range(count)]
        if self._frames and any(old.reset for old in given_up[begun:]):
            self._frames[0] = self._frames[0]._replace(reset=True)
        return tuple(Dropped(old, outcome) for old in given_up[set_aside:] if old.showable)

    def _pop(self) -> ReceivedFrame:
        self._begun = max(0, self._begun - 1)
        self._set_aside = max(0, self._set_aside - 1)
        self._prepared = False
        return self._frames.popleft()

    def _between(self, now_ns: int) -> PlayoutStep:
        """Nothing is due: time to prepare the next frames, or to wait for that.

        Pixels of one frame only: they take twice the memory of a decoded one. And none of it at once: the
        processes that have shown the last frame would keep the processors from those that have not.
        """
        if not self._frames:
            return IDLE
        following = self._frames[0]
        wait_ns = self._due_ns(following) - now_ns
        # The rate in a header may be as near to 0 as a number can be.
        interval_ns = min(1_000_000_000 / following.header.fps, _LONGEST_INTERVAL_NS)
        # A process that lags decodes at once what is there, and works out no pixels early: by then a
        # newer frame may be due.
        self.eager = self._lateness.lagging(now_ns)
        begin_ns = int(_BEGIN_AHEAD * interval_ns)
        if wait_ns > begin_ns and not self.eager:
            return PlayoutStep(wait_ns=wait_ns - begin_ns)
        if not self._prepared and not self.eager:
            self._prepared = True
            self._begun = max(1, self._begun)
            return PlayoutStep(wait_ns=wait_ns, prepare=following)
        to_decode = self._begun < min(len(self._frames), 1 + self._decoded_ahead)
        if to_decode and (self.eager or wait_ns > _STOP_AHEAD * interval_ns):
            self._begun += 1
            return PlayoutStep(wait_ns=wait_ns, decode_ahead=self._frames[self._begun - 1])
        return PlayoutStep(wait_ns=wait_ns)

    def _due_ns(self, arrived: ReceivedFrame) -> int:
        return arrived.frame.header.capture_ns + self._delay_ns

    def _too_late(self, arrived: ReceivedFrame, now_ns: int) -> bool:
        late_ns = now_ns - self._due_ns(arrived)
        shows = self._lateness.shows(late_ns, arrived.header.fps, now_ns)
        return not shows or now_ns - arrived.header.capture_ns > self._max_age_ns


def _since_keyframe(frames: list[ReceivedFrame], begun: int) -> list[ReceivedFrame]:
    """The frames from the latest keyframe on: no frame refers to earlier ones.

    If an earlier one had to reset the decoder, and is not among the first `begun`, which are decoded
    already, the keyframe does.
    """
    for at in range(len(frames) - 1, 0, -1):
        if frames[at].header.key:
            anew = any(frame.reset for frame in frames[begun:at])
            first = frames[at]._replace(reset=True) if anew else frames[at]
            return [first, *frames[at + 1 :]]
    return list(frames)
