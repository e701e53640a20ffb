"""The listener of a producer without a broker: which clients it admits and which it disconnects."""

from __future__ import annotations

import contextlib
import logging
import random
import socket
from typing import Final

import psutil
import pytest

from fanlight.common.model.errors import ListenError
from fanlight.consumer import Consumer
from fanlight.producer import Producer
from tests.support.broker import tcp_url
from tests.support.commands import at_most_one_a_second, run
from tests.support.marked_stream import Marking, Watcher
from tests.support.tcp_wire import (
    CONTROL,
    FOLLOW,
    HELLO,
    PREFIX,
    REFUSAL,
    WELCOME,
    RawClient,
    control,
    hello,
    packed,
    place,
)
from tests.support.timing import wait_until

pytestmark = pytest.mark.brokerless

LISTENER: Final = "fanlight.common.transport.tcp.listener"
MESSAGE_TIMEOUT: Final = "fanlight.common.transport.tcp.handshake.MESSAGE_TIMEOUT_NS"
RANDOM: Final = random.Random(4)
PATIENT_S: Final = 10.0  # on a machine that is too slow no frame is lost
HUGE: Final = 2**32 - 1
OTHER: Final = {"stream": "other", "name": "c1", "follow": True}

# What a peer says first, and what it is told.
STRANGERS: Final = {
    "random bytes": (b"\x00" + RANDOM.randbytes(4000), "magic is b'\\x00"),
    "random bytes after the magic": (b"FL" + RANDOM.randbytes(4000), "version is"),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "magic is b'GE'"),
    "one wrong byte": (b"G", "magic is b'G'"),
    "a later version": (PREFIX.pack(b"FL", 2, HELLO, 10, 0), "version is 2"),
    "a kind that there is not": (PREFIX.pack(b"FL", 1, 99, 10, 0), "kind is 99"),
    "a JSON object of 4 GiB": (PREFIX.pack(b"FL", 1, HELLO, HUGE, 0), f"header size is {HUGE}"),
    "a body of 4 GiB": (PREFIX.pack(b"FL", 1, HELLO, 10, HUGE), f"body size is {HUGE}"),
    "a control message at first": (packed(CONTROL, {"type": "keyframe_request"}), "hello, first of all"),
    "a hello without a name": (packed(HELLO, {"stream": "cam"}), "name is None"),
    "a hello that is no object": (packed(HELLO, [1]), "a JSON object"),
    "a hello nested deeply": (packed(HELLO, b"[" * 1000), "a JSON object"),
    "a hello of a wrong wish": (packed(HELLO, OTHER | {"follow": 1}), "follow is 1"),
    "a hello for another stream": (packed(HELLO, OTHER), "stream is 'other'"),
}
# What one says that was let in before.
GUESTS: Final = {
    "random bytes": b"\x00" + RANDOM.randbytes(4000),
    "a MiB of random bytes": b"\x00" + RANDOM.randbytes(1 << 20),
    "a second hello": hello("any"),
    "a welcome": packed(WELCOME, {}),
    "a wish that is none": packed(FOLLOW, {"follow": "yes"}),
    "a control message of no type": packed(CONTROL, {}),
    "a control message without figures": control("receiver_report", "any"),
    "a control message that is too long": packed(CONTROL, {"type": "receiver_report"}, b" " * 5000),
    "a control message nested deeply": packed(CONTROL, {"type": "keyframe_request"}, b"[" * 4000),
    "a body of 4 GiB": PREFIX.pack(b"FL", 1, CONTROL, 10, HUGE),
}


@pytest.fixture(params=["threads", "multiplex"])
def url(request: pytest.FixtureRequest) -> str:
    return tcp_url(request.param)


def test_a_client_that_breaks_the_contract_is_disconnected_and_counted(
    url: str, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Marking(url, stream, max_age_s=PATIENT_S) as marking,
        Watcher(Consumer(stream=stream, name="w", url=url, max_age_s=PATIENT_S)) as watcher,
    ):
        producer = marking.producer
        wait_until(lambda: watcher.last, 20, "the stream is on")
        refused = 0
        for what, (said, answer) in STRANGERS.items():
            with RawClient(url) as client:
                client.send(said)
                message = client.read()
                assert message.kind == REFUSAL, what
                assert answer in message.table["reason"], what
                assert client.ended()
            refused += 1
            assert producer.stats().refused == refused, what
        for what, said in GUESTS.items():
            with RawClient(url, stream, follow=False) as client:
                with contextlib.suppress(ConnectionError):  # put out before all was said
                    client.send(said)
                assert client.ended()
            refused += 1
            assert producer.stats().refused == refused, what
        requests = producer.stats().keyframe_requests
        with RawClient(url, stream, follow=False) as client:
            client.send(control("keyframe_request", stream, reason="gap"))
            wait_until(
                lambda: producer.stats().keyframe_requests == requests + 1, 5, "who is civil is heard"
            )
        count = len(watcher.seen)
        wait_until(lambda: len(watcher.seen) > count + 5, 20, "the stream goes on")
        stats = watcher.consumer.stats()
        assert (stats.lost, stats.reconnects, stats.malformed) == (0, 0, 0)
        assert producer.failure is None
    assert not watcher.faults(PATIENT_S)
    warnings = [r for r in caplog.records if r.name == LISTENER and r.levelno == logging.WARNING]
    lines = [record.getMessage() for record in warnings]
    assert "refused: magic is b'\\x00" in lines[0]
    assert "127.0.0.1:" in lines[0]
    assert all(line.isprintable() for line in lines)
    assert at_most_one_a_second([record.created for record in warnings]), "they do not flood the log"


def test_a_client_that_sends_too_little_is_disconnected(
    url: str, stream: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Marking(url, stream) as marking,
        Watcher(Consumer(stream=stream, name="w", url=url)) as watcher,
        RawClient(url) as mute,
        RawClient(url) as half,
        RawClient(url) as drips,
        RawClient(url, stream, follow=False) as guest,
        RawClient(url, stream, follow=False) as silent,
    ):
        wait_until(lambda: watcher.last, 20, "the stream is on")
        monkeypatch.setattr(MESSAGE_TIMEOUT, 600_000_000)  # those who say what is due have done so
        half.send(hello(stream)[:20])
        guest.send(control("keyframe_request", stream, reason="gap")[:-1])
        # A byte now and then is not enough.
        drip(drips.sock, hello(stream, "d" * 60))
        for client in (mute, half):
            message = client.read()
            assert message.kind == REFUSAL
            assert "no hello within 0.6 s" in message.table["reason"]
            assert client.ended()
        assert guest.ended()
        producer = marking.producer
        wait_until(lambda: producer.stats().refused == 4, 20, "four are refused")
        # One who has said all that is due may be silent.
        requests = producer.stats().keyframe_requests
        silent.send(control("keyframe_request", stream, reason="gap"))
        wait_until(lambda: producer.stats().keyframe_requests == requests + 1, 20, "it is still heard")
        assert watcher.consumer.stats().reconnects == 0
    assert not watcher.faults()
    # At most one line a second: which of them it is, is chance.
    assert any("within 0.6 s" in record.getMessage() for record in caplog.records)


def drip(sock: socket.socket, data: bytes) -> None:
    """Send a byte every 50 ms, until the other side ends it."""
    sock.settimeout(0.05)
    for at in range(len(data) - 1):
        try:
            sock.send(data[at : at + 1])
            while sock.recv(1000):
                pass
        except TimeoutError:
            continue
        except ConnectionError:
            pass  # a byte came after its end
        return
    raise AssertionError("all was taken")


def test_a_second_producer_at_the_same_port_says_so_and_ends(url: str, stream: str) -> None:
    with Marking(url, stream), RawClient(url, stream) as client:
        with Producer(stream=stream, url=url) as second:
            wait_until(lambda: second.failure is not None, 20, "it fails")
            assert isinstance(second.failure, ListenError)
            assert "the address is in use" in str(second.failure)
            assert str(second.failure).isprintable()
        code, command = run("producer", "--url", url, "--stream", stream)
        assert code == 1
        (line,) = [line.text for line in command.err.lines if "cannot listen" in line.text]
        assert line.startswith(f"producer: {url}: cannot listen there: the address is in use")
        assert "Traceback" not in command.err.text
        assert client.frame()


@pytest.mark.parametrize(("host", "bound"), [("", "127.0.0.1"), ("0.0.0.0", "0.0.0.0")])  # noqa: S104 - to be told from the other
@pytest.mark.parametrize("design", ["threads", "multiplex"])
def test_it_listens_on_this_machine_only_unless_told_otherwise(
    stream: str, design: str, host: str, bound: str
) -> None:
    url = tcp_url(design)
    port = place(url)[1]
    token = "beyond it a token is needed" if host else None
    with Producer(stream=stream, url=f"tcp+{design}://{host}:{port}", token=token), RawClient(url):
        listening = {
            connection.laddr.ip
            for connection in psutil.Process().net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        }
    assert listening == {bound}


@pytest.mark.parametrize("design", ["threads", "multiplex"])
def test_one_client_too_many_is_told_why_and_the_others_lose_nothing(
    stream: str, caplog: pytest.LogCaptureFixture, design: str
) -> None:
    url = tcp_url(design)
    with (
        Producer(stream=stream, url=url, codec="jpeg", max_clients=2) as out,
        Consumer(stream, "first", url=url, via="broker"),
        Consumer(stream, "second", url=url, via="broker"),
    ):
        wait_until(lambda: len(out.stats().consumers) == 2, 20, "two clients report")
        with Consumer(stream, "third", url=url, via="broker") as third:
            wait_until(lambda: "refused: 2 clients are served already" in caplog.text, 20, "it is told why")
            assert not third.stats().connected
        wait_until(lambda: out.stats().consumers == ("first", "second"), 20, "the others report")
