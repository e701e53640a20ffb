from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.shm.layout import Slot
from fanlight.consumer.ring_playout import Choice, RingPlayout
from fanlight.consumer.stats import Outcome
from tests.unit.consumer.build import MS, SECOND

FPS = 25.0
INTERVAL = 40 * MS
AHEAD = 30 * MS  # before a frame is due
DELAY = 150 * MS
NOW = 100 * SECOND


class Ring:
    """Pictures of which the oldest are overwritten."""

    def __init__(self, slots: int = 8) -> None:
        self.newest = 0
        self._count = slots
        self._slots: dict[int, Slot] = {}

    def slot(self, number: int) -> Slot | None:
        return self._slots.get(number)

    def write(self, *seqs: int, captured_ns: int = NOW) -> None:
        """One after the other, an interval apart."""
        for at, seq in enumerate(seqs):
            self.newest += 1
            self._slots.pop(self.newest - self._count, None)
            self._slots[self.newest] = Slot(
                self.newest, seq, seq, captured_ns + at * INTERVAL, 0, FPS, 0, 0
            )


def ring(*seqs: int, slots: int = 8, captured_ns: int = NOW) -> Ring:
    made = Ring(slots)
    made.write(*seqs, captured_ns=captured_ns)
    return made


def seq_of(choice: Choice) -> int | None:
    return None if choice.slot is None else choice.slot.seq


def outcomes(choice: Choice) -> list[tuple[int, Outcome]]:
    return [(slot.seq, outcome) for slot, outcome in choice.dropped]


# latest ------------------------------------------------------------------------------------------------


def test_latest_begins_with_the_newest_picture() -> None:
    shared = ring(5, 6, 7)
    playout = RingPlayout(shared, None, None, NOW)
    assert (playout.seen, playout.last_seq) == (2, None)
    choice = playout.choose(3, NOW)
    assert choice == Choice(shared.slot(3))
    assert (playout.seen, playout.last_seq) == (3, 7)
    assert playout.choose(3, NOW) == Choice(), "once"


TOP = 2**63 - 1


@pytest.mark.parametrize("after", [None, 5, TOP], ids=["first", "after a frame", "after a forged one"])
def test_a_forged_number_is_left_after_a_second(after: int | None) -> None:
    shared = ring(6, TOP)
    playout = RingPlayout(shared, None, after, NOW)
    shown = [seq_of(playout.choose(shared.newest, NOW))]
    lost = 0
    for seq in range(7, 60):
        captured_ns = NOW + (seq - 6) * INTERVAL
        shared.write(seq, captured_ns=captured_ns)
        choice = playout.choose(shared.newest, captured_ns)
        shown += [seq_of(choice)]
        lost += choice.lost
    real = [seq for seq in shown if seq not in (None, TOP)]
    assert real == list(range(real[0], 60))
    assert real[0] <= 6 + SECOND // INTERVAL
    assert lost == 0


def test_the_next_picture_is_a_short_cut() -> None:
    shared = ring(5)
    playout = RingPlayout(shared, None, None, NOW)
    assert playout.next(1) is None, "nothing came before it"
    playout.choose(1, NOW)
    assert playout.next(1) is None
    shared.write(6)
    assert playout.next(2) == shared.slot(2)
    assert (playout.seen, playout.last_seq) == (2, 6)
    shared.write(8)
    assert playout.next(3) is None, "a frame is missing before it"
    assert playout.choose(3, NOW).lost == 1
    shared.write(9, 10)
    assert playout.next(5) is None, "there are two"


def test_latest_skips_what_was_overtaken_and_reports_it() -> None:
    shared = ring(5)
    playout = RingPlayout(shared, None, None, NOW)
    playout.choose(1, NOW)
    shared.write(6, 7, 8)
    choice = playout.choose(4, NOW)
    assert (seq_of(choice), outcomes(choice)) == (8, [(6, Outcome.SUPERSEDED), (7, Outcome.SUPERSEDED)])
    assert (choice.overwritten, choice.lost) == (0, 0)


def test_overwritten_and_lost_frames_are_counted_apart() -> None:
    shared = ring(5, slots=2)
    playout = RingPlayout(shared, None, None, NOW)
    playout.choose(1, NOW)
    shared.write(6, 9, 11, 12)  # 7, 8 and 10 never came
    choice = playout.choose(5, NOW)
    assert (seq_of(choice), choice.overwritten, choice.lost) == (12, 2, 3)


# sync --------------------------------------------------------------------------------------------------


def test_sync_gives_out_a_picture_a_little_early_with_its_time() -> None:
    shared = ring(5)
    playout = RingPlayout(shared, DELAY, None, NOW)
    due_ns = NOW + DELAY
    assert playout.choose(1, NOW) == Choice(wait_ns=DELAY - AHEAD)
    assert playout.choose(1, due_ns - AHEAD - 1) == Choice(wait_ns=1)
    assert playout.choose(1, due_ns - AHEAD) == Choice(shared.slot(1), due_ns)
    assert playout.choose(1, due_ns) == Choice()


def test_sync_begins_with_what_is_not_due_yet() -> None:
    shared = ring(*range(8))
    assert RingPlayout(shared, DELAY, None, NOW + DELAY + 3 * INTERVAL).seen == 4
    assert RingPlayout(shared, DELAY, None, NOW + DELAY + 100 * INTERVAL).seen == 7
    assert RingPlayout(shared, DELAY, None, NOW).seen == 0


def test_sync_gives_out_no_picture_ahead_instead_of_the_one_that_is_due() -> None:
    playout = RingPlayout(ring(0, 1), DELAY, None, NOW)
    assert seq_of(playout.choose(2, NOW + DELAY + INTERVAL // 2 - 1)) == 0
    assert seq_of(playout.choose(2, NOW + DELAY + INTERVAL // 2)) == 1


# after another source ----------------------------------------------------------------------------------


# Properties: any pace, gaps, viewers that are away, pictures that are overwritten ------------------------


@dataclass(frozen=True)
class Step:
    """The stream advances, a picture may come, time passes, the viewer may take."""

    jump: int
    writes: int
    pause_ns: int
    takes: int
    overwritten_meanwhile: bool


_STEPS = st.lists(
    st.builds(
        Step,
        jump=st.sampled_from([1] * 6 + [2, 5]),
        writes=st.sampled_from([0, 1, 1, 1, 2, 6, 20]),
        pause_ns=st.sampled_from([0, 1, AHEAD, INTERVAL, INTERVAL, 3 * INTERVAL, SECOND]),
        takes=st.sampled_from([0, 1, 1, 2, 9]),
        overwritten_meanwhile=st.sampled_from([False] * 5 + [True]),
    ),
    max_size=40,
)


_SLOTS = st.sampled_from([3, 6, 12])


@dataclass
class Bench:
    """A hub at work, a viewer that looks, and what becomes of every picture."""

    delay_ns: int | None
    slots: int
    begins_with: int
    after: int | None
    now_ns: int = NOW
    seq: int = 10
    seqs: dict[int, int] = field(default_factory=dict)
    shown: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    overwritten: int = 0
    lost: int = 0
    late_ns: int | None = None

    def __post_init__(self) -> None:
        self.ring = Ring(self.slots)
        self.write(self.begins_with, 1)
        self.playout = RingPlayout(self.ring, self.delay_ns, self.after, self.now_ns)
        self.before = self.playout.seen

    def write(self, count: int, jump: int) -> None:
        for _ in range(count):
            self.seq += jump
            # What came from the other source was captured before that.
            earlier = self.after is not None and self.seq <= self.after
            self.ring.write(self.seq, captured_ns=(NOW if earlier else self.now_ns) - 10 * MS)
            self.seqs[self.ring.newest] = self.seq

    def take(self, newest: int) -> None:
        slot = self.playout.next(newest)
        if slot is not None:
            self.shown.append(slot.number)
            return
        choice = self.playout.choose(newest, self.now_ns)
        assert choice.wait_ns is None or (choice.wait_ns > 0 and choice.slot is None)
        for slot, outcome in choice.dropped:
            self.dropped.append(slot.number)
            if outcome is Outcome.LATE:
                assert not self.late_again(), "a second one in vain"
        self.overwritten += choice.overwritten
        self.lost += choice.lost
        if choice.slot is not None:
            self.shown.append(choice.slot.number)
            if self.delay_ns is None:
                assert (choice.due_ns, choice.slot.number) == (None, newest)
            else:
                assert choice.due_ns == choice.slot.captured_ns + self.delay_ns
                assert choice.due_ns - self.now_ns <= AHEAD
                assert self.now_ns - choice.due_ns <= INTERVAL // 2 or self.late_again()

    def late_again(self) -> bool:
        last_ns, self.late_ns = self.late_ns, self.now_ns
        return last_ns is not None and self.now_ns - last_ns <= SECOND


@pytest.mark.parametrize("delay_ns", [None, DELAY])
@given(steps=_STEPS, slots=_SLOTS, begins_with=st.integers(0, 15), after=st.integers(0, 5))
def test_every_picture_has_one_outcome_or_came_from_another_source(
    delay_ns: int | None, steps: list[Step], slots: int, begins_with: int, after: int
) -> None:
    # The frame that came last from another source: none, or one of about when the hub was found.
    bench = Bench(delay_ns, slots, begins_with, None if after == 0 else 10 + begins_with - 3 + after)
    for step in steps:
        bench.write(step.writes, step.jump)
        bench.now_ns += step.pause_ns
        newest = bench.ring.newest
        if step.overwritten_meanwhile:
            bench.write(step.writes, step.jump)
        for _ in range(step.takes):
            bench.take(newest)
    for _ in range(3):
        bench.now_ns += 10 * SECOND
        bench.take(bench.ring.newest)
    seen = sorted(bench.shown + bench.dropped)
    assert bench.shown == sorted(set(bench.shown))
    assert len(seen) == len(set(seen))
    considered = {number for number in bench.seqs if number > bench.before}
    last = bench.playout.last_seq
    if bench.after is None:
        assert len(seen) + bench.overwritten == len(considered)
    else:
        assert not [number for number in seen if bench.seqs[number] <= bench.after]
        assert len(seen) + bench.overwritten <= len(considered)
        # What was overwritten unseen may have been lost as well as have come.
        assert last is not None
        assert len(seen) + bench.overwritten + bench.lost == last - bench.after
