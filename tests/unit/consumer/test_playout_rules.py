"""What docs/reliability.md promises of freshness, by policy and playout together, whatever happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanlight.common.model.frame import Codec
from fanlight.common.model.freshness import FreshnessPolicy, Verdict
from fanlight.consumer import encoded_playout
from fanlight.consumer import playout as playouts
from fanlight.consumer.encoded_playout import EncodedPlayout
from fanlight.consumer.playout import Dropped, LatestPlayout, Playout, ReceivedFrame, SyncPlayout
from fanlight.consumer.stats import Outcome
from tests.unit.consumer.test_playout import (
    BEGIN,
    DECODED_AHEAD,
    DELAY,
    INTERVAL,
    MAX_AGE,
    MS,
    SECOND,
    STOP,
    arrived,
)

# both, as the receiver drives them ---------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """Time passes, the clock may be set, a frame may arrive, the presenter may take."""

    pause_ns: int
    clock_step_ns: int
    arrives: bool
    age_ns: int
    jump: int
    epoch: int | None
    key: bool
    takes: int


_EVENTS = st.builds(
    Step,
    pause_ns=st.sampled_from([0, 1, 5 * MS, INTERVAL, INTERVAL, INTERVAL, 2 * INTERVAL, 170 * MS, SECOND]),
    clock_step_ns=st.sampled_from([0] * 15 + [-3600 * SECOND, -SECOND, -30 * MS, 30 * MS, SECOND]),
    arrives=st.sampled_from([True, True, True, False]),
    age_ns=st.one_of(st.just(10 * MS), st.just(10 * MS), st.integers(-50 * MS, 600 * MS)),
    jump=st.sampled_from([1] * 9 + [2, 5, 0, -1]),
    epoch=st.sampled_from([None] * 9 + [0, 1, 2]),
    key=st.booleans(),
    takes=st.sampled_from([0, 0, 1, 1, 2, 9]),
)
# What comes after it: so many frames without a fault, at a pace and an age, for a presenter at its own.
_RUNS = st.builds(
    lambda count, pause_ns, age_ns, takes: [Step(pause_ns, 0, True, age_ns, 1, None, False, takes)] * count,
    st.integers(0, 14),
    st.sampled_from([0, 5 * MS, INTERVAL // 2, INTERVAL, INTERVAL]),
    st.sampled_from([10 * MS, 10 * MS, 130 * MS, 140 * MS, 510 * MS]),
    st.sampled_from([0, 0, 1, 2, 9]),
)
_STREAMS = st.lists(st.builds(lambda event, run: [event, *run], _EVENTS, _RUNS), max_size=16).map(
    lambda parts: [step for part in parts for step in part]
)
_CODECS = st.sampled_from([(Codec.H264,) * 3, (Codec.JPEG,) * 3, (Codec.H264, Codec.PNG, Codec.H264)])
_BODY = b"0123456789"
_CHAIN, _BYTES = 8, 60  # small ones, so that they overflow
_PLAYOUTS: dict[str, Callable[[], Playout]] = {
    "latest": lambda: LatestPlayout(MAX_AGE),
    "sync": lambda: SyncPlayout(DELAY, MAX_AGE),
    "encoded": lambda: EncodedPlayout(MAX_AGE),
}


class Bench:
    """A policy and a playout, driven as `Receiver` and `Reception` do, and a decoder that minds."""

    def __init__(self, playout: Playout, codecs: tuple[Codec, ...]) -> None:
        self.playout = playout
        self.policy = FreshnessPolicy(MAX_AGE)
        self.codecs = codecs
        self.mono_ns = 5 * SECOND
        self.clock_ns = 1_000_000 * SECOND
        self.seqs = [-1] * len(codecs)
        self.arrivals = 0
        self.outcomes: Counter[int] = Counter()  # by the number of the arrival, which is in `received_ns`
        self.came_ns: dict[int, int] = {}
        self.shown: list[ReceivedFrame] = []
        self.prepared: list[int] = []
        self.ahead: list[int] = []
        self.decoded: set[int] = set()
        self.reference: tuple[int, int] | None = None
        self.late_ns: int | None = None  # when one was late last, by the clock that stamps frames

    @property
    def now_ns(self) -> int:
        return self.clock_ns + self.mono_ns

    def arrive(self, step: Step, epoch: int) -> None:
        number = self.arrivals
        self.arrivals += 1
        self.came_ns[number] = self.mono_ns
        self.seqs[epoch] = max(0, self.seqs[epoch] + step.jump)
        codec = self.codecs[epoch]
        capture_ns = self.now_ns - step.age_ns
        frame = arrived(
            self.seqs[epoch], capture_ns, key=step.key, codec=codec, epoch=epoch, body=_BODY
        ).frame
        decision = self.policy.offer(frame.header, age_ns=step.age_ns, now_ns=self.mono_ns)
        if decision.verdict not in (Verdict.SHOW, Verdict.DECODE_ONLY):
            self.outcomes[number] += 1
            return
        showable = decision.verdict is Verdict.SHOW
        if not showable:
            self.outcomes[number] += 1
        pushed = self.playout.push(ReceivedFrame(frame, number, 0, decision.reset, showable))
        self._drop(pushed.dropped)
        if pushed.broken:
            self.policy.broken(self.mono_ns)
        self._check_memory()

    def take(self) -> bool:
        """One step; False if there was nothing to do."""
        now_ns = self.now_ns
        step = self.playout.take(now_ns)
        self._drop(step.dropped)
        for old in step.dropped:
            if old.outcome is Outcome.LATE and isinstance(self.playout, SyncPlayout):
                again = self._lagging()
                self.late_ns = now_ns
                assert not again or now_ns - old.frame.header.capture_ns > MAX_AGE, "decoded for nothing"
        lagging = self._lagging()
        assert step.wait_ns is None or step.wait_ns > 0
        for frame in step.decode:
            self._decode(frame)
        for early, before in ((step.prepare, self.prepared), (step.decode_ahead, self.ahead)):
            if early is not None:
                assert early.received_ns > max(before, default=-1), "in order, each once"
                before.append(early.received_ns)
                self._decode(early)
        if step.prepare is not None:
            due_ns = step.prepare.header.capture_ns + DELAY
            assert 0 < due_ns - now_ns <= BEGIN
        if step.decode_ahead is not None:
            assert step.decode_ahead.received_ns > max(self.prepared, default=-1)
            assert step.wait_ns is not None
            assert step.wait_ns > (0 if lagging else STOP)
        if step.frame is not None:
            self._show(step.frame, step.due_ns)
        if any(old.outcome is Outcome.SUPERSEDED for old in step.dropped):
            self.late_ns = now_ns
        self._check_memory()
        return bool(step.frame or step.prepare or step.decode_ahead or step.decode)

    def _show(self, frame: ReceivedFrame, due_ns: int | None) -> None:
        header = frame.header
        assert frame.showable
        assert self.now_ns - header.capture_ns <= MAX_AGE
        if isinstance(self.playout, SyncPlayout):
            assert due_ns == header.capture_ns + DELAY
            late_ns = self.now_ns - due_ns
            assert late_ns >= 0
            if late_ns > INTERVAL // 2:
                assert self._lagging()
                self.late_ns = self.now_ns
        else:
            assert due_ns is None
        self._decode(frame)
        self.outcomes[frame.received_ns] += 1
        if self.shown:
            assert frame.received_ns > self.shown[-1].received_ns
        same = [before for before in self.shown if before.header.epoch == header.epoch]
        if same:
            assert header.seq > same[-1].header.seq
            if same[-1] is not self.shown[-1]:
                away_ns = self.came_ns[frame.received_ns] - self.came_ns[self.shown[-1].received_ns]
                assert away_ns >= SECOND, "the epoch was left"
        self.shown.append(frame)

    def _lagging(self) -> bool:
        """Whether a frame was late, or overtaken, within the last second."""
        return self.late_ns is not None and 0 <= self.now_ns - self.late_ns <= SECOND

    def _decode(self, frame: ReceivedFrame) -> None:
        """Every inter-coded frame must come right after the one that it refers to."""
        if frame.received_ns in self.decoded:
            return
        self.decoded.add(frame.received_ns)
        header = frame.header
        if not header.key:
            assert self.reference == (header.epoch, header.seq - 1)
        self.reference = (header.epoch, header.seq)

    def _drop(self, dropped: tuple[Dropped, ...]) -> None:
        for old in dropped:
            assert old.frame.showable
            self.outcomes[old.frame.received_ns] += 1

    def _check_memory(self) -> None:
        if isinstance(self.playout, (LatestPlayout, EncodedPlayout)):
            chain = self.playout._chain if isinstance(self.playout, LatestPlayout) else self.playout._frames
            assert len(chain) <= _CHAIN
            assert (
                self.playout._bytes == sum(len(frame.frame.body) for frame in chain) <= _BYTES + len(_BODY)
            )
        elif isinstance(self.playout, SyncPlayout):
            assert len(self.playout._frames) <= self.playout._capacity
            # Each of these takes the memory of a picture.
            decoded = [frame for frame in self.playout._frames if frame.received_ns in self.decoded]
            assert len(decoded) <= 1 + DECODED_AHEAD


@pytest.mark.parametrize("mode", _PLAYOUTS)
@given(steps=_STREAMS, codecs=_CODECS)
@settings(max_examples=300, derandomize=True)
def test_shown_frames_are_fresh_and_in_order_and_each_has_one_outcome(
    mode: str, steps: list[Step], codecs: tuple[Codec, ...]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module in (playouts, encoded_playout):
            patch.setattr(module, "LONGEST_CHAIN", _CHAIN)
            patch.setattr(module, "MOST_BYTES", _BYTES)
        patch.setattr(playouts, "_HIGHEST_FPS", 20)
        bench = Bench(_PLAYOUTS[mode](), codecs)
        epoch = 0
        for step in steps:
            bench.mono_ns += step.pause_ns
            bench.clock_ns += step.clock_step_ns
            epoch = epoch if step.epoch is None else step.epoch
            if step.arrives:
                bench.arrive(step, epoch)
            for _ in range(step.takes):
                if not bench.take():
                    break
        # The rest still waits, and comes out in the end.
        bench.mono_ns += 1_000_000 * SECOND
        shown = len(bench.shown)
        while bench.take():
            pass
        assert len(bench.shown) == shown
        assert bench.outcomes == Counter(range(bench.arrivals))


@pytest.mark.parametrize("mode", _PLAYOUTS)
@pytest.mark.parametrize("codec", [Codec.H264, Codec.JPEG])
def test_a_stream_without_faults_is_shown_whole(mode: str, codec: Codec) -> None:
    """Or else the property above could hold of a playout that shows nothing."""
    bench = Bench(_PLAYOUTS[mode](), (codec,))
    for n in range(100):
        bench.mono_ns += INTERVAL
        bench.arrive(Step(0, 0, True, 10 * MS, 1, None, n % 25 == 0, 0), 0)
        for _ in range(INTERVAL // (5 * MS)):
            while bench.take():
                pass
            bench.mono_ns += 5 * MS
        bench.mono_ns -= INTERVAL
    bench.mono_ns += INTERVAL
    for _ in range(DELAY // (5 * MS)):
        bench.mono_ns += 5 * MS
        while bench.take():
            pass
    assert [frame.header.seq for frame in bench.shown] == list(range(100))
