from __future__ import annotations

import pytest

from fanlight.common.model.stall import StallLimit

SECOND = 1_000_000_000


def after(*times_s: float, given_s: float | None = None, fps: float = 0.0) -> StallLimit:
    limit = StallLimit(given_s)
    limit.fps = fps
    for time_s in times_s:
        limit.arrived(int(time_s * SECOND))
    return limit


@pytest.mark.parametrize("interval_s", [0.04, 1, 2, 5, 60, 86_400])
def test_the_limit_is_three_intervals_of_the_source_and_at_least_three_seconds(interval_s: float) -> None:
    limit = after(*(n * interval_s for n in range(8)))
    assert limit.seconds == pytest.approx(max(3, 3 * interval_s))


def test_a_few_frames_do_not_tell_how_slow_a_source_is_but_one_long_interval_does() -> None:
    assert (after().seconds, after(0).seconds) == (10, 120)
    assert after(0, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006).seconds == 120
    assert after(0, 0, 4).seconds == 12
    assert StallLimit(unknown_s=10).seconds == 10


def test_a_nominal_rate_is_believed_where_it_is_slower() -> None:
    assert after(0, fps=1 / 86_400).seconds == after(*range(9), fps=1 / 86_400).seconds == 3 * 86_400
    assert after(fps=25).seconds == 10
    assert after(0, 4, fps=25).seconds == 12


def test_pauses_between_bursts_are_remembered_and_later_forgotten() -> None:
    burst = [n / 10 for n in range(10)]
    limit = after(*burst, *(20 + at for at in burst))
    assert limit.seconds > 20
    for n in range(100):
        limit.arrived(int((40 + n / 10) * SECOND))
    assert limit.seconds == 3


def test_a_source_that_stalls_again_and_again_gets_more_time() -> None:
    limit = after(*(n / 25 for n in range(8)))
    limits = []
    for _ in range(5):
        limits.append(limit.seconds)
        limit.stalled()
    assert limits == [3, 9, 27, 81, 120]
    limit.arrived(200 * SECOND)
    assert limit.seconds == pytest.approx(120), "the time until it was back is no interval"


def test_a_source_that_never_gave_a_frame_gets_no_more_time() -> None:
    limit = after()
    limit.stalled()
    assert limit.seconds == 10


def test_a_limit_that_is_given_holds() -> None:
    limit = after(0, 60, given_s=5, fps=0.1)
    limit.stalled()
    assert limit.seconds == 5
