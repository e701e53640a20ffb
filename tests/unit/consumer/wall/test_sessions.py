from __future__ import annotations

import pytest

from fanlight.consumer.wall.sessions import SESSION_S, Sessions

TOKEN = "a token of some length"
NOW_S = 1_700_000_000


def test_a_session_is_valid_until_it_expires() -> None:
    sessions = Sessions(TOKEN)
    session = sessions.begin(NOW_S)
    assert sessions.valid(session, NOW_S)
    assert sessions.valid(session, NOW_S + SESSION_S - 1)
    assert not sessions.valid(session, NOW_S + SESSION_S)


def test_it_survives_a_restart_with_the_same_token_only() -> None:
    session = Sessions(TOKEN).begin(NOW_S)
    assert Sessions(TOKEN).valid(session, NOW_S)
    assert not Sessions("another token of some length").valid(session, NOW_S)


def test_no_two_are_equal_and_none_has_the_token_in_it() -> None:
    sessions = Sessions(TOKEN)
    first, second = sessions.begin(NOW_S), sessions.begin(NOW_S)
    assert first != second
    assert TOKEN not in first


def test_one_that_was_logged_out_is_not_valid_and_others_are() -> None:
    sessions = Sessions(TOKEN)
    first, second = sessions.begin(NOW_S), sessions.begin(NOW_S)
    sessions.end(first, NOW_S)
    assert not sessions.valid(first, NOW_S)
    assert sessions.valid(second, NOW_S)


def test_logging_out_is_remembered_for_the_last_few_thousand() -> None:
    sessions = Sessions(TOKEN)
    many = [sessions.begin(NOW_S) for _ in range(4097)]
    for session in many:
        sessions.end(session, NOW_S)
    assert not sessions.valid(many[-1], NOW_S)


@pytest.mark.parametrize("forged", ["", ".", "..", "x.y.z", "9" * 5000, "9999.0.0", "\ud800.1.2", "é.é"])
def test_what_it_did_not_sign_is_not_valid(forged: str) -> None:
    assert not Sessions(TOKEN).valid(forged, NOW_S)


def test_a_changed_session_is_not_valid() -> None:
    sessions = Sessions(TOKEN)
    session = sessions.begin(NOW_S)
    later = f"{NOW_S + 2 * SESSION_S}.{session.partition('.')[2]}"
    for changed in (later, session[:-1], f"{session}0", session.upper(), f" {session}"):
        assert not sessions.valid(changed, NOW_S)
