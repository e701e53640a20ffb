from __future__ import annotations

import logging

import pytest

from fanlight.common.transport.outage_log import OutageLog

S = 1_000_000_000


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> OutageLog:
    caplog.set_level(logging.DEBUG)
    return OutageLog(logging.getLogger("x"), "link")


def test_an_outage_is_logged_when_it_begins_ever_more_seldom_and_when_it_ends(
    log: OutageLog, caplog: pytest.LogCaptureFixture
) -> None:
    log.over(0, "host")
    for second in range(10, 310):
        log.failed(second * S, "nothing answers", 0.5)
    log.over(310 * S, "host")
    log.over(311 * S, "host")
    began = [message.partition("attempt ")[2].partition(" ")[0] for message in caplog.messages[1:-1]]
    assert began == ["2", "4", "8", "16", "32", "64", "128", "192", "256"]
    assert caplog.messages[0] == "link: connected to host"
    assert caplog.messages[1] == "link: nothing answers; attempt 2 in 0.5 s"
    assert caplog.messages[-1] == "link: connected to host, after 300.0 s and 301 attempts"
    assert [record.levelname for record in caplog.records[::10]] == ["INFO", "INFO"]


def test_another_reason_is_logged_soon_but_each_once(
    log: OutageLog, caplog: pytest.LogCaptureFixture
) -> None:
    for tenth, reason in enumerate(("lost", "refused", "lost", "hung up") * 5):
        log.failed(tenth * S // 10, reason, 0.1)
    assert [message.split(";")[0] for message in caplog.messages] == ["link: lost", "link: hung up"]
    log.failed(3 * S, "refused", 0.1)
    log.failed(4 * S, "lost", 0.1)
    log.failed(5 * S, "hung up", 0.1)
    assert [message.split(";")[0] for message in caplog.messages[2:]] == ["link: refused", "link: hung up"]


def test_reasons_without_end_do_not_fill_the_log(log: OutageLog, caplog: pytest.LogCaptureFixture) -> None:
    for second in range(1000):
        log.failed(second * S, f"reason {second}", 1.0)
    assert len(caplog.messages) < 30


def test_a_peer_that_accepts_and_closes_does_not_fill_the_log(
    log: OutageLog, caplog: pytest.LogCaptureFixture
) -> None:
    for second in range(0, 600, 2):
        log.over(second * S, "host")
        log.failed((second + 1) * S, "closed", 1.0)
    assert len(caplog.messages) < 30
    log.over(1000 * S, "host")
    log.failed(1010 * S, "closed", 1.0)
    assert caplog.messages[-1] == "link: closed; attempt 2 in 1.0 s", "a new outage"


def test_a_quiet_one_is_for_debugging(caplog: pytest.LogCaptureFixture) -> None:
    log = OutageLog(logging.getLogger("x"), "link", quiet=True)
    with caplog.at_level(logging.DEBUG):
        log.failed(0, "lost", 1.0)
        log.over(S, "host")
        assert {record.levelname for record in caplog.records} == {"DEBUG"}
        log.failed(2 * S, "all are closed", 1.0, loud=True)
        log.over(3 * S, "host")
        assert {record.levelname for record in caplog.records} == {"DEBUG"}
        log.failed(4 * S, "a limit of this connection alone", 1.0, loud=True)
        log.failed(5 * S, "a limit of this connection alone", 1.0, loud=True)
        log.over(6 * S, "host")
    assert [record.levelname for record in caplog.records[-2:]] == ["WARNING", "INFO"]
