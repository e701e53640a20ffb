from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.result import Result
from fanlight.consumer.frame import NO_RESULTS
from fanlight.consumer.result_store import ALL, MOST_DETECTORS, ResultStore
from fanlight.consumer.stats import ResultCounts

MS: Final = 1_000_000
MAX_AGE: Final = 500 * MS


def found(seq: int, name: str = "faces", *, epoch: int = 1, size_bytes: int = 200) -> Result:
    return Result(
        stream="cam", name=name, epoch=epoch, seq=seq, capture_ns=0, width=64, height=48,
        data={"of": [epoch, seq, name]}, size_bytes=size_bytes,
    )  # fmt: skip


def store(names: Collection[str] = ("faces",), most_bytes: int = 1_000_000) -> ResultStore:
    return ResultStore(names, MAX_AGE, most_bytes)


def test_a_frame_gets_what_was_found_in_it_and_once() -> None:
    results = store(["faces", "cars"])
    for seq in (3, 1, 2):
        assert results.add(found(seq), 0) is None
    results.add(found(2, "cars"), 0)
    results.add(found(2, "dogs"), 0)  # not wanted, and not counted
    results.add(found(2, epoch=7), 0)
    assert results.take((1, 1)) == {"faces": found(1)}
    assert results.take((1, 2)) == {"faces": found(2), "cars": found(2, "cars")}
    assert results.take((1, 2)) is NO_RESULTS
    assert results.counts() == ResultCounts(presented=3)


def test_a_frame_is_complete_when_all_have_answered() -> None:
    results = store(["faces", "cars"])
    assert not results.complete((1, 5), 0)
    results.add(found(5), 0)
    assert not results.complete((1, 5), 0)
    results.add(found(5, "cars"), 0)
    assert results.complete((1, 5), 0)
    assert not results.complete((1, 6), 0)
    assert not results.complete((2, 5), 0)


def test_of_all_detectors_those_are_waited_for_that_are_there() -> None:
    results = store([ALL])
    assert results.complete((1, 5), 0), "there is none"
    results.add(found(5), 0)
    results.add(found(4, "cars"), 0)
    assert not results.complete((1, 5), 0)
    results.add(found(5, "cars"), 0)
    assert results.complete((1, 5), 0)
    results.add(found(6), 3000 * MS)
    assert results.complete((1, 6), 3000 * MS), "cars has published nothing for 3 s"


def test_what_comes_after_its_frame_is_late() -> None:
    results = store()
    results.take((1, 5))
    assert results.add(found(5), 0) == "late"
    assert results.add(found(4), 0) == "late"
    assert results.add(found(6), 0) is None
    assert results.add(found(1, epoch=2), 0) is None
    assert results.counts() == ResultCounts(late=2)


def test_the_first_answer_counts() -> None:
    results = store()
    results.add(found(5), 0)
    assert results.add(replace(found(5), data={}), 0) == "duplicate"
    assert results.take((1, 5)) == {"faces": found(5)}
    assert results.counts() == ResultCounts(presented=1, duplicate=1)


def test_results_of_frames_that_were_skipped_are_unused() -> None:
    results = store()
    for seq in range(10):
        results.add(found(seq), 0)
    assert results.take((1, 7)) == {"faces": found(7)}
    assert results.counts() == ResultCounts(presented=1, unused=7)
    assert not results.complete((1, 3), 0)


def test_results_without_a_frame_expire() -> None:
    results = store()
    results.add(found(5, epoch=9), 0)
    results.add(found(6), MAX_AGE)
    assert results.counts().unused == 0
    results.add(found(7), MAX_AGE + 1)
    assert results.counts() == ResultCounts(unused=1)


def test_who_floods_loses_its_own_results_only() -> None:
    results = store(["faces", "flood"], most_bytes=100_000)
    for seq in range(20):
        results.add(found(seq), 0)
    for seq in range(1000):
        results.add(found(seq, "flood", size_bytes=60_000), 0)
    assert results.counts() == ResultCounts(overflow=999)
    assert results.take((1, 0)) == {"faces": found(0)}
    assert results.take((1, 19)) == {"faces": found(19)}


def test_names_are_bounded_and_make_room() -> None:
    results = store([ALL])
    for number in range(1000):
        results.add(found(1, f"n{number}"), 0)
    assert results.counts().overflow == 1000 - MOST_DETECTORS
    assert len(results.take((1, 1))) == MOST_DETECTORS
    assert results.add(found(2, "another"), 0) == "overflow"
    assert results.add(found(2, "another"), 3000 * MS) is None


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "take"]),
        st.integers(1, 2),
        st.integers(0, 12),
        st.sampled_from(["faces", "cars"]),
        st.integers(0, 200),
    ),
    max_size=60,
)


@given(STEPS)
def test_never_a_neighbours_and_every_one_is_accounted_for(
    steps: list[tuple[str, int, int, str, int]],
) -> None:
    results = store(["faces", "cars"], most_bytes=8000)
    now_ns = added = kept = 0
    for what, epoch, seq, name, passed_ms in steps:
        now_ns += passed_ms * MS
        if what == "add":
            results.add(found(seq, name, epoch=epoch), now_ns)
            added += 1
            continue
        taken = results.take((epoch, seq))
        assert all(result == found(seq, name, epoch=epoch) for name, result in taken.items())
    for epoch in (1, 2):
        for seq in range(13):
            kept += len(results.take((epoch, seq)))
    counts = results.counts()
    assert sum(counts) == added, f"{kept} were kept"
