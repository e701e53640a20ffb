from __future__ import annotations

from fanlight.producer.keyframes import ANSWER_INTERVAL_NS, KeyframeGovernor

START = 5_000_000_000


def test_many_requests_are_one_answer() -> None:
    governor = KeyframeGovernor()
    for _ in range(20):
        governor.request()
    assert governor.due(START)
    assert not governor.due(START + 10 * ANSWER_INTERVAL_NS)


def test_a_request_that_comes_too_soon_is_kept_until_its_time() -> None:
    governor = KeyframeGovernor()
    governor.request()
    assert governor.due(START)
    governor.request()
    assert not governor.due(START + 1)
    assert not governor.due(START + ANSWER_INTERVAL_NS - 1)
    assert governor.due(START + ANSWER_INTERVAL_NS)
    assert not governor.due(START + ANSWER_INTERVAL_NS + 1)


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
