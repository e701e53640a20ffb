from __future__ import annotations

from fanlight.producer.keyframes import ANSWER_INTERVAL_NS, KeyframeGovernor

START = 5_000_000_000


def test_requests_are_one_answer_and_later_ones_are_kept_until_their_time() -> None:
    governor = KeyframeGovernor()
    for begin_ns in (START, START + 10 * ANSWER_INTERVAL_NS):
        for _ in range(20):
            governor.request()
        assert governor.due(begin_ns)
        assert not governor.due(begin_ns + ANSWER_INTERVAL_NS), "nothing was requested since"
        governor.request()
        assert not governor.due(begin_ns + 1)
        assert not governor.due(begin_ns + ANSWER_INTERVAL_NS - 1)
        assert governor.due(begin_ns + ANSWER_INTERVAL_NS)


def test_the_producers_own_need_is_not_put_off() -> None:
    governor = KeyframeGovernor()
    governor.request()
    assert governor.due(START)
    governor.force()
    assert governor.due(START + 1)
    assert not governor.due(START + 2)


def test_a_forced_keyframe_answers_the_requests_that_wait_too() -> None:
    governor = KeyframeGovernor()
    governor.request()
    assert governor.due(START)
    governor.request()
    governor.force()
    assert governor.due(START + 1)
    assert not governor.due(START + ANSWER_INTERVAL_NS + 2)
    governor.request()
    assert governor.due(START + ANSWER_INTERVAL_NS + 2)


def test_a_forced_keyframe_that_nobody_asked_for_puts_no_request_off() -> None:
    governor = KeyframeGovernor()
    governor.force()
    assert governor.due(START)
    governor.request()
    assert governor.due(START + 1)
