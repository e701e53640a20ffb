from __future__ import annotations

import errno

import pytest

from common.fanout.silence import (
    CHECK_EVERY_S,
    SILENT_S,
    NetworkSilent,
    Silence,
    Verdict,
    line_is_out,
)
from common.fanout.tcp_info import TcpInfo


def info(
    heard_s: float, sent_s: float = 0.0, *, unacked: int = 0, retransmits: int = 0, probes: int = 0
) -> TcpInfo:
    return TcpInfo(retransmits, probes, unacked, 0, int(sent_s * 1000), int(heard_s * 1000))


def retransmitted(since_s: float) -> tuple[float, int]:
    """How long ago, and how often, something was sent again that was first sent so long ago."""
    again = [at for at in (0.2, 0.6, 1.4, 3.0, 6.2) if at <= since_s]
    return since_s - (again[-1] if again else 0.0), len(again)


def dies_at(started_s: float, *, heard_before_s: float = 0.0) -> float:
    """When a connection is given up on which something is sent at 0, and never answered."""
    silence = Silence()
    for step in range(100):
        now_s = started_s + step * CHECK_EVERY_S
        if now_s < 0:
            silence.check(info(heard_before_s + now_s - started_s), now_s)
            continue
        sent_s, times = retransmitted(now_s)
        verdict = silence.check(info(now_s + heard_before_s, sent_s, unacked=1, retransmits=times), now_s)
        if verdict is Verdict.DEAD:
            return now_s
    raise AssertionError("never")


@pytest.mark.parametrize("started_s", [-1.0, -0.9, -0.75, -0.6, -0.51])
def test_a_silent_network_is_noticed_in_time(started_s: float) -> None:
    assert SILENT_S - CHECK_EVERY_S <= dies_at(started_s) <= SILENT_S + CHECK_EVERY_S


def test_a_connection_that_was_idle_for_long_gets_as_much_time() -> None:
    assert dies_at(-0.75, heard_before_s=600) >= SILENT_S - CHECK_EVERY_S


def test_a_busy_line_is_fine() -> None:
    silence = Silence()
    for step in range(20):
        now_s = step * CHECK_EVERY_S
        assert silence.check(info(0.03, 0.0, unacked=5), now_s) is Verdict.FINE


def test_a_slow_line_is_not_given_up_before_something_was_sent_twice_again() -> None:
    silence = Silence()
    for step in range(8):
        now_s = step * CHECK_EVERY_S
        assert silence.check(info(now_s, 0, unacked=1, retransmits=1), now_s) is Verdict.FINE


def test_a_peer_without_room_that_answers_is_waited_for() -> None:
    """What it does not take is sent again ever more seldom; each time its system answers."""
    silence = Silence()
    for step in range(100):
        now_s = step * CHECK_EVERY_S
        sent_s, times = retransmitted(now_s)
        assert silence.check(info(sent_s, sent_s, unacked=1, retransmits=times), now_s) is Verdict.FINE


def test_a_peer_without_room_that_is_gone_is_not() -> None:
    silence = Silence()
    verdicts = [
        silence.check(info(1 + step * CHECK_EVERY_S, 30, probes=step), step * CHECK_EVERY_S)
        for step in range(8)
    ]
    assert Verdict.DEAD in verdicts


def test_an_answer_starts_it_anew() -> None:
    silence = Silence()
    for now_s in (0.0, 0.5, 1.0):
        silence.check(info(now_s, 0, unacked=1, retransmits=3), now_s)
    assert silence.check(info(0.1, 0.2), 1.5) is Verdict.FINE
    assert silence.check(info(0.6, 0.1, unacked=1, retransmits=3), 2.0) is Verdict.FINE


def test_who_hears_nothing_and_has_said_nothing_asks() -> None:
    silence = Silence()
    assert silence.check(info(0.9, 5), 0.0) is Verdict.FINE
    assert silence.check(info(1.1, 5), 0.5) is Verdict.ASK


def test_a_process_that_stood_still_gives_nothing_up() -> None:
    silence = Silence()
    silence.check(info(0.1, 0.2), 0.0)
    # It wakes after a minute and says something at once.
    assert silence.check(info(60.0, 0.0, unacked=1), 60.0) is Verdict.FINE
    assert silence.check(info(0.4, 0.4), 60.5) is Verdict.FINE


def test_where_nothing_is_known_nothing_is_done() -> None:
    silence = Silence()
    assert {silence.check(None, step) for step in range(10)} == {Verdict.FINE}


@pytest.mark.parametrize(
    ("error", "out"),
    [
        (TimeoutError(), True),
        (NetworkSilent(), True),
        (OSError(errno.EHOSTUNREACH, ""), True),
        (OSError(errno.ENETUNREACH, ""), True),
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), False),
        (ConnectionResetError(errno.ECONNRESET, ""), False),
        (ValueError(), False),
    ],
)
def test_errors_of_a_line_that_is_out(error: BaseException, out: bool) -> None:
    assert line_is_out(error) is out


def test_a_silent_network_says_so() -> None:
    assert NetworkSilent().strerror == "the network is silent: nothing is acknowledged"
