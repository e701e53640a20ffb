"""Many hostile clients, without a broker: no viewer is affected."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Iterator

import psutil
import pytest

from fanlight.consumer import Consumer
from tests.support.broker import tcp_url
from tests.support.commands import running
from tests.support.hostile_clients import HostileClients
from tests.support.marked_stream import Watcher
from tests.support.tcp_wire import REFUSAL, RawClient, hello
from tests.support.timing import scaled, wait_until

pytestmark = pytest.mark.brokerless

COUNT = 1000
FILES = 1024  # what a process may have open as a rule


@contextlib.contextmanager
def files_limited(count: int) -> Iterator[None]:
    """For this process and those that it starts."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


@pytest.mark.parametrize("design", ["threads", "multiplex"])
def test_a_thousand_hostile_clients_harm_no_viewer(design: str, stream: str) -> None:
    url = tcp_url(design)
    options = ["--source", "test", "--size", "320x180", "--codec", "jpeg", "--fps", "30"]
    options += ["--max-clients", str(COUNT)]  # those that say hello are clients as any other
    with contextlib.ExitStack() as stack:
        with files_limited(FILES):
            command = stack.enter_context(running("producer", "--url", url, "--stream", stream, *options))
        stack.enter_context(files_limited(4 * COUNT))
        consumer = Consumer(stream=stream, name="w", url=url, via="broker")
        watcher = stack.enter_context(Watcher(consumer, exact=False))
        wait_until(lambda: watcher.last, 15, "the stream is on")
        process = psutil.Process(command.process.pid)
        files = process.num_fds()
        with HostileClients(url, stream, COUNT) as clients:
            assert clients.full.wait(scaled(40)), "all of them have come"
            full_s, opened = time.monotonic(), clients.opened
            with Watcher(Consumer(stream=stream, name="late", url=url, via="broker"), exact=False) as late:
                wait_until(lambda: late.last, 20, "who comes now is let in")
                wait_until(lambda: clients.opened > opened + 300, 20, "and they come again")
                for viewer in (late, watcher):
                    viewer.wait_flow(frames=30)
            assert process.num_fds() < FILES - 64, "what viewers need is left"
        stats = consumer.stats()
        assert (stats.reconnects, stats.malformed) == (0, 0)
        wait_until(lambda: process.num_fds() <= files + 2, 15, "nothing is left of them")
        text = command.err.text
        assert "Traceback" not in text
        assert len(command.err.lines) < time.monotonic() - full_s + 60, "they do not flood the log"
    assert not watcher.faults()


def test_clients_do_not_take_the_descriptors_that_the_producer_needs(stream: str) -> None:
    """They say hello, as viewers do: of these no more are let in than there is room for."""
    url = tcp_url("multiplex")
    options = ("--source", "test", "--size", "320x180", "--codec", "jpeg", "--fps", "30")
    with contextlib.ExitStack() as stack:
        with files_limited(256):
            command = stack.enter_context(running("producer", "--url", url, "--stream", stream, *options))
        consumer = Consumer(stream=stream, name="w", url=url, via="broker")
        watcher = stack.enter_context(Watcher(consumer, exact=False))
        wait_until(lambda: watcher.last, 15, "the stream is on")
        with contextlib.ExitStack() as guests:
            told = None
            for _ in range(256):
                guest = guests.enter_context(RawClient(url))
                guest.send(hello(stream, follow=False))
                message = guest.read()
                if message.kind == REFUSAL:
                    told = message.table["reason"]
                    break
            assert told is not None
            assert told.startswith("128 clients are served already, as many as allowed (--max-clients ")
            assert psutil.Process(command.process.pid).num_fds() < 256 - 64
            count = len(watcher.seen)
            wait_until(lambda: len(watcher.seen) > count + 10, 20, "the stream goes on")
        with Consumer(stream=stream, name="late", url=url, via="broker") as late:
            assert late.read(scaled(20)) is not None, "there is room again"
        assert consumer.stats().reconnects == 0
    assert not watcher.faults()
