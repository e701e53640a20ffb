"""When a frame is shown. Pure: time comes in, decisions go out.

Frames are kept as they came, encoded, and decoded when their turn comes: a hundredth of the memory, and
what a keyframe makes superfluous is never decoded at all. Both modes keep whole frames only and are
bounded. The types are tuples, which are as immutable as frozen dataclasses and made in a third of the time.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Final, NamedTuple, Protocol

from fanlight.common.model.frame import EncodedFrame, FrameHeader
from fanlight.consumer.stats import Event

# Frames that `sync` may hold for each second of its delay.
_HIGHEST_FPS: Final = 240
# Frames that `latest` may hold for whoever is slow, from one keyframe to the next: 10 s at 60 fps.
_LONGEST_CHAIN: Final = 600
_MOST_BYTES: Final = 32 * 1024 * 1024

# In frame intervals before a frame is due: when to begin to work on it and those behind it, and when to
# stop decoding ahead. What is left of each interval is for showing frames, on all screens at once.
_BEGIN_AHEAD: Final = 0.9
_STOP_AHEAD: Final = 0.3
MOST_DECODED_AHEAD: Final = 4
_LONGEST_INTERVAL_NS: Final = 3600 * 1_000_000_000
# A frame captured so long before the one that came before it: the producer's clock was set.
_STEP_NS: Final = 200_000_000
# After one frame that was late: whoever is late again within this time cannot keep up.
_BEHIND_NS: Final = 1_000_000_000


class Arrived(NamedTuple):
    """A frame that arrived in stream order, with all that it refers to.

    Attributes:
        received_ns: Unix time of arrival.
        lost_before: frames of the stream that never arrived, since the consumer started.
        reset: True if the decoder must start anew before this frame.
        showable: False if it was too old when it arrived, and is only there to be referred to.
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
    """A frame that will not be shown, and why. It may have to be decoded all the same."""

    frame: Arrived
    event: Event


class Pushed(NamedTuple):
    """What became of the frames that were there before.

    Attributes:
        dropped: frames given up.
        broken: True if references were given up as well: nothing can be shown before the next keyframe.
    """

    dropped: tuple[Dropped, ...] = ()
    broken: bool = False


_KEPT: Final = Pushed()


class Turn(NamedTuple):
    """What to do now.

    Attributes:
        frame: to be shown now, if any.
        due_ns: Unix time at which it was to be shown, or is to be, a little later; None with `latest`.
        dropped: frames given up.
        wait_ns: time until the next frame's turn; None if only a new frame can change anything.
        ahead: a frame that may be decoded now, for its turn comes soon; in order, each once.
        upcoming: the frame whose turn is next, once: there is time to work out its pixels.
        decode: frames that are not shown and that `frame`, or a later one, refers to, in order.
    """

    frame: Arrived | None = None
    due_ns: int | None = None
    dropped: tuple[Dropped, ...] = ()
    wait_ns: int | None = None
    ahead: Arrived | None = None
    upcoming: Arrived | None = None
    decode: tuple[Arrived, ...] = ()


class Playout(Protocol):
    """Decides which frame is shown when. Not thread-safe."""

    @property
    def eager(self) -> bool:
        """Whether there is something to do as soon as another frame is there, before any one's turn."""
        ...

    def push(self, arrived: Arrived) -> Pushed:
        """Take a frame, in stream order; the frames that it makes superfluous."""
        ...

    def __len__(self) -> int:
        """How many frames it holds."""
        ...

    def take(self, now_ns: int) -> Turn:
        """What to show at `now_ns` (Unix time); `IDLE` if there is nothing before the next `push`."""
        ...


class LatestPlayout:
    """The newest complete frame, at once. Slow work skips frames; it never queues them for showing.

    What the newest frame refers to is kept until it is taken, or a keyframe comes.
    """

    eager = False

    def __init__(self, max_age_ns: int) -> None:
        self._max_age_ns = max_age_ns
        self._chain: list[Arrived] = []
        self._bytes = 0

    def push(self, arrived: Arrived) -> Pushed:
        chain = self._chain
        dropped: tuple[Dropped, ...] = ()
        if chain:
            newest = chain[-1]
            if newest.showable:
                # A frame behind one that is too old is older still.
                event = Event.SUPERSEDED if arrived.showable else Event.LATE
                dropped = (Dropped(newest, event),)
            if arrived.frame.header.key:
                if any(old.reset for old in chain):
                    arrived = arrived._replace(reset=True)  # what it supersedes was to start anew
                self._clear()
            elif len(chain) >= _LONGEST_CHAIN or self._bytes > _MOST_BYTES:
                self._clear()
                if arrived.showable:
                    dropped = (*dropped, Dropped(arrived, Event.AWAITING_KEY))
                return Pushed(dropped, broken=True)
        chain.append(arrived)
        self._bytes += len(arrived.frame.body)
        return Pushed(dropped) if dropped else _KEPT

    def __len__(self) -> int:
        return len(self._chain)

    def take(self, now_ns: int) -> Turn:
        chain = self._chain
        if not chain:
            return IDLE
        newest = chain[-1]
        if newest.showable and now_ns - newest.frame.header.capture_ns <= self._max_age_ns:
            turn = Turn(newest, None, (), None, None, None, tuple(chain[:-1]))
        else:
            dropped = (Dropped(newest, Event.LATE),) if newest.showable else ()
            turn = Turn(dropped=dropped, decode=tuple(chain))
        self._clear()
        return turn

    def _clear(self) -> None:
        self._chain.clear()
        self._bytes = 0


class Lateness:
    """Whether a frame past its playout time is still shown, the newest that is due.

    One that is late by more than half a frame interval is dropped: by then the next one is nearer to what
    the other screens show. But where this happens again within a second, this process cannot keep up: it
    shows whatever it has decoded, late as it is, for dropping it would only waste the work.
    """

    def __init__(self) -> None:
        self._late_ns: int | None = None

    def fell_behind(self, now_ns: int) -> None:
        """A frame was overtaken before it could be shown."""
        self._late_ns = now_ns

    def behind(self, now_ns: int) -> bool:
        """Whether a frame was late, or overtaken, within the last second."""
        return self._late_ns is not None and 0 <= now_ns - self._late_ns <= _BEHIND_NS

    def shows(self, late_ns: int, fps: float, now_ns: int) -> bool:
        """Whether to show a frame that is so late now."""
        if late_ns <= 500_000_000 / fps:
            return True
        behind = self.behind(now_ns)
        self._late_ns = now_ns
        return behind


class SyncPlayout:
    """Every frame at `capture_ns + delay`, so that all screens show the same one at the same time.

    Args:
        decoded_ahead: frames that are decoded before their turn is next, up to `MOST_DECODED_AHEAD`. A
            keyframe takes five times as long as another frame: screens of one host that take different
            numbers decode it at different times, and all are in time for the frames before it.
    """

    def __init__(self, delay_ns: int, max_age_ns: int, decoded_ahead: int = MOST_DECODED_AHEAD) -> None:
        self._decoded_ahead = decoded_ahead
        self._delay_ns = delay_ns
        self._max_age_ns = max_age_ns
        self._capacity = 8 + delay_ns * _HIGHEST_FPS // 1_000_000_000
        self._frames: deque[Arrived] = deque()
        self._lateness = Lateness()
        self.eager = False
        # The first so many frames were handed out to be decoded, and the first one for its pixels.
        self._begun = 0
        self._prepared = False
        # The first so many are not to be shown. Frames are told apart by who they are: whoever has decoded
        # one ahead would not know a changed one again, and decode it twice.
        self._set_aside = 0

    def __len__(self) -> int:
        return len(self._frames)

    def push(self, arrived: Arrived) -> Pushed:
        frames = self._frames
        if frames and frames[-1].header.epoch != arrived.header.epoch:
            # The producer restarted: what it published before is of no more interest.
            dropped = self._give_up(len(frames))
            frames.append(arrived)
            return Pushed(dropped)
        dropped = ()
        if frames and frames[-1].header.capture_ns - arrived.header.capture_ns > _STEP_NS:
            dropped = self._clock_was_set()
        frames.append(arrived)
        if len(frames) <= self._capacity:
            return Pushed(dropped) if dropped else _KEPT
        keys = (at for at, frame in enumerate(islice(frames, 1, None), 1) if frame.header.key)
        key_at = next(keys, None)
        dropped += self._give_up(len(frames) if key_at is None else key_at)
        return Pushed(dropped, broken=key_at is None)

    def take(self, now_ns: int) -> Turn:
        due: list[Arrived] = []
        begun, set_aside = self._begun, self._set_aside
        while self._frames and self._is_due(self._frames[0], now_ns):
            due.append(self._pop())
        if not due:
            return self._between(now_ns)
        dropped = [Dropped(old, Event.SUPERSEDED) for old in due[set_aside:-1] if old.showable]
        overtaken = bool(dropped)
        newest: Arrived | None = due[-1]
        if not due[-1].showable or set_aside >= len(due):
            newest = None
        elif self._too_late(due[-1], now_ns):
            newest = None
            dropped.append(Dropped(due[-1], Event.LATE))
        if overtaken:
            self._lateness.fell_behind(now_ns)
        decode = _since_keyframe(due, begun)
        if newest is not None:
            newest = decode.pop()
        due_ns = None if newest is None else self._due_ns(newest)
        return Turn(newest, due_ns, tuple(dropped), decode=tuple(decode))

    def _clock_was_set(self) -> tuple[Dropped, ...]:
        """What was stamped by the clock as it was would be due who knows when: it is not shown any more."""
        shown_no_more = islice(self._frames, self._set_aside, None)
        dropped = tuple(Dropped(old, Event.SUPERSEDED) for old in shown_no_more if old.showable)
        self._set_aside = len(self._frames)
        return dropped

    def _is_due(self, arrived: Arrived, now_ns: int) -> bool:
        return self._set_aside > 0 or not arrived.showable or self._due_ns(arrived) <= now_ns

    def _give_up(self, count: int) -> tuple[Dropped, ...]:
        begun, set_aside = self._begun, self._set_aside
        given_up = [self._pop() for _ in range(count)]
        if self._frames and any(old.reset for old in given_up[begun:]):
            self._frames[0] = self._frames[0]._replace(reset=True)
        return tuple(Dropped(old, Event.SUPERSEDED) for old in given_up[set_aside:] if old.showable)

    def _pop(self) -> Arrived:
        self._begun = max(0, self._begun - 1)
        self._set_aside = max(0, self._set_aside - 1)
        self._prepared = False
        return self._frames.popleft()

    def _between(self, now_ns: int) -> Turn:
        """Nothing is due: time to prepare the next frames, or to wait for that.

        Pixels of one frame only: they take twice the memory of a decoded one. And none of it at once: those
        who have shown the last frame first would keep the processors from those who have not.
        """
        if not self._frames:
            return IDLE
        following = self._frames[0]
        wait_ns = self._due_ns(following) - now_ns
        # A stranger's rate may be as near to 0 as a number can be.
        interval_ns = min(1_000_000_000 / following.header.fps, _LONGEST_INTERVAL_NS)
        # Whoever is behind decodes at once what is there, and works out no pixels early: by then a
        # newer frame may be due.
        self.eager = self._lateness.behind(now_ns)
        begin_ns = int(_BEGIN_AHEAD * interval_ns)
        if wait_ns > begin_ns and not self.eager:
            return Turn(wait_ns=wait_ns - begin_ns)
        if not self._prepared and not self.eager:
            self._prepared = True
            self._begun = max(1, self._begun)
            return Turn(wait_ns=wait_ns, upcoming=following)
        to_decode = self._begun < min(len(self._frames), 1 + self._decoded_ahead)
        if to_decode and (self.eager or wait_ns > _STOP_AHEAD * interval_ns):
            self._begun += 1
            return Turn(wait_ns=wait_ns, ahead=self._frames[self._begun - 1])
        return Turn(wait_ns=wait_ns)

    def _due_ns(self, arrived: Arrived) -> int:
        return arrived.frame.header.capture_ns + self._delay_ns

    def _too_late(self, arrived: Arrived, now_ns: int) -> bool:
        late_ns = now_ns - self._due_ns(arrived)
        shows = self._lateness.shows(late_ns, arrived.header.fps, now_ns)
        return not shows or now_ns - arrived.header.capture_ns > self._max_age_ns


IDLE: Final = Turn()
"""Nothing is there."""


def _since_keyframe(frames: list[Arrived], begun: int) -> list[Arrived]:
    """The last frames, from the latest keyframe on: nothing refers to those before it.

    If one of those was to start anew, and was not among the first `begun` that are decoded already, the
    keyframe is.
    """
    for at in range(len(frames) - 1, 0, -1):
        if frames[at].header.key:
            anew = any(frame.reset for frame in frames[begun:at])
            first = frames[at]._replace(reset=True) if anew else frames[at]
            return [first, *frames[at + 1 :]]
    return list(frames)
