from __future__ import annotations

from fanlight.consumer.presence import ProducerPresence

SECOND = 1_000_000_000


def test_before_the_first_sign_nobody_is_there() -> None:
    presence = ProducerPresence()
    assert [presence.observe(0, now * SECOND, 3) for now in (100, 101, 105)] == [0, 1, 5]


def test_frames_and_answers_are_signs_and_a_silent_producer_is_away_after_a_while() -> None:
    presence = ProducerPresence()
    assert presence.observe(1, 0, 3) is None
    assert presence.observe(1, 3 * SECOND, 3) is None
    assert presence.observe(1, 4 * SECOND, 3) == 4
    presence.sign(5 * SECOND)
    assert presence.observe(1, 6 * SECOND, 3) is None
    assert presence.observe(2, 60 * SECOND, 3) is None


def test_one_that_has_ended_is_away_at_once_and_until_the_next_sign() -> None:
    presence = ProducerPresence()
    presence.observe(7, 0, 3)
    presence.ended(9, SECOND)
    presence.ended(9, 2 * SECOND)
    assert presence.observe(9, 2 * SECOND, 3) == 1, "since it was said first"
    assert presence.observe(10, 2 * SECOND, 3) is None
