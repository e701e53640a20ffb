"""Two users of one host, by real commands: neither sees the other's pictures, and each is told why."""

from __future__ import annotations

import signal
import socket
import threading

import psutil
import pytest

from fanlight.common.shm.private_folder import SHARED_MEMORY
from fanlight.common.transport.tcp.connect import connect
from fanlight.common.transport.tcp.sockets import Waker
from fanlight.consumer import Consumer
from tests.integration.test_pipeline import on_air, read
from tests.support.broker import tcp_url
from tests.support.commands import run, running
from tests.support.hubs import comes_by, hub
from tests.support.marked_stream import Marking, Watcher
from tests.support.timing import wait_until
from tests.support.users import NOBODY

TOKEN = "0123456789abcdef"
DESIGNS = pytest.mark.parametrize("design", ["threads", "multiplex"])


@pytest.mark.brokerless
@DESIGNS
def test_who_listens_first_at_a_free_port_shows_nothing_to_others(
    stream: str, design: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = tcp_url(design)
    with Consumer(stream, "c", url=url) as consumer:
        arguments = ("--url", url, "--stream", stream, "--source", "test", "--size", "64x48")
        with running("producer", *arguments, nobody=True) as producer:
            wait_until(lambda: "is of user nobody" in caplog.text, 30, "the consumer says who is there")
            code, _ = run("consumer", *arguments[:4], "--sink", "null", "--frames", "5", nobody=True)
            assert code == 0, "he may watch himself"
            assert consumer.stats().received == 0
            assert producer.process.poll() is None
        with on_air(stream, url) as (out, _):
            frames = read(consumer, 3)
            assert {frame.epoch for frame in frames} == {out.epoch}


@pytest.mark.brokerless
@DESIGNS
def test_another_user_watches_with_the_token_only(stream: str, design: str) -> None:
    url = tcp_url(design)
    arguments = ("--url", url, "--stream", stream, "--sink", "null", "--frames", "3")
    with Marking(url, stream):
        code, command = run("consumer", *arguments, nobody=True)
        assert code == 1
        assert "it is of user nobody: without a token only" in command.err.text
        assert "FANLIGHT_TOKEN" in command.err.text
    with Marking(url, stream, token=TOKEN):
        code, command = run("consumer", *arguments, nobody=True, environment={"FANLIGHT_TOKEN": TOKEN})
        assert code == 0, command.err.text


@pytest.mark.brokerless
def test_localhost_is_the_address_at_which_producers_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the system's order is: at ::1 another user may listen, for there is no producer."""
    with socket.create_server(("127.0.0.1", 0)) as producer:
        port = producer.getsockname()[1]
        addresses = [
            (family, socket.SOCK_STREAM, 0, "", (ip, port))
            for family, ip in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1"))
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        with socket.create_server(("::1", port), family=socket.AF_INET6):
            waker = Waker()
            sock = connect("localhost", port, waker, threading.Event())
            assert sock is not None
            with sock:
                assert sock.getpeername()[0] == "127.0.0.1"
            waker.close()


def test_each_user_has_a_hub_of_his_own(broker_url: str, stream: str) -> None:
    arguments = ("--url", broker_url, "--stream", stream)
    viewer = (*arguments, "--via", "host", "--sink", "null", "--frames")
    with (
        Marking(broker_url, stream),
        hub(broker_url, stream) as ours,
        Watcher(Consumer(stream=stream, name="w", url=broker_url)) as watcher,
    ):
        comes_by(watcher, shared=True)
        assert not [
            each
            for each in psutil.Process(ours.process.pid).net_connections("all")
            if each.status == psutil.CONN_LISTEN or (each.family == socket.AF_UNIX and each.laddr)
        ], "a hub has no socket to which anybody could connect"
        with running("consumer", *viewer, "5", nobody=True) as other:
            told = other.wait_line("a hub of user root serves that user only; start one")
            assert "python -m consumer --sink share" in told.text
        with running("consumer", *arguments, "--sink", "share", nobody=True) as theirs:
            theirs.wait_line("slots")
            code, command = run("consumer", *viewer, "5", nobody=True)
            assert code == 0, command.err.text
            assert (SHARED_MEMORY / f"fanlight-{NOBODY}").stat().st_uid == NOBODY
            comes_by(watcher, shared=True)
            assert "standing by" not in ours.err.text + theirs.err.text
            theirs.signal(signal.SIGINT)
            assert theirs.wait() == 0
        assert not (SHARED_MEMORY / f"fanlight-{NOBODY}").exists()
        ours.signal(signal.SIGINT)
        assert ours.wait() == 0
    assert not watcher.faults()
