"""No file descriptors left, while a process needs one: to connect, to accept, to open a file."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from scripts.lib.tcp_proxy import TcpProxy
from tests.support.broker import tcp_url
from tests.support.commands import Command, at_most_one_a_second, running
from tests.support.fault_stream import HANDOVER_S, MAX_AGE_S
from tests.support.shown import Presented, longest_pause_s, presented
from tests.support.timing import scaled, wait_until

RECOVERY_S = 2.0
# A limit below what is open already takes nothing away, and gives nothing more.
NONE_LEFT = 4


@contextmanager
def no_descriptors(*commands: Command) -> Iterator[None]:
    """None of them can open anything meanwhile."""
    before = [resource.prlimit(command.process.pid, resource.RLIMIT_NOFILE) for command in commands]
    try:
        for command, (_, hard) in zip(commands, before, strict=True):
            resource.prlimit(command.process.pid, resource.RLIMIT_NOFILE, (NONE_LEFT, hard))
        yield
    finally:
        for command, limits in zip(commands, before, strict=True):
            if command.process.poll() is None:
                resource.prlimit(command.process.pid, resource.RLIMIT_NOFILE, limits)


def descriptors(command: Command) -> int:
    return psutil.Process(command.process.pid).num_fds()


def frames(trace: Path) -> list[Presented]:
    return presented(trace, time.time())


def since(trace: Path, moment_s: float) -> list[Presented]:
    return [frame for frame in frames(trace) if frame.at_s > moment_s]


def few_lines(command: Command) -> None:
    """The same warning at most once a second, beside those that say what began and what ended."""
    times = [line.at_s for line in command.err.lines if "Too many open files" in line.text]
    assert at_most_one_a_second(times), command.err.text
    assert len(command.err.lines) - len(times) < 12, command.err.text
    assert "Traceback" not in command.err.text


def fresh(trace: Path) -> None:
    assert max(frame.age_s for frame in frames(trace)) <= MAX_AGE_S + HANDOVER_S


def stop(*commands: Command) -> None:
    for command in commands:
        command.process.terminate()
    for command in commands:
        assert command.wait(10) == 0, command.err.text


def test_a_connection_that_is_cut_comes_back_when_there_are_descriptors_again(
    url: str, stream: str, tmp_path: Path
) -> None:
    trace = tmp_path / "t.csv"
    broker = url.startswith("amqp")
    with ExitStack() as stack:
        proxy = stack.enter_context(TcpProxy("127.0.0.1", urlsplit(url).port or 5672))
        inside = proxy.url_through(url)
        producer = stack.enter_context(
            running("producer", "--url", inside if broker else url, "--stream", stream, "--size", "160x90")
        )
        producer.wait_line("connected" if broker else "listening")
        consumer = stack.enter_context(
            running("consumer", "--url", inside, "--stream", stream, "--sink", f"trace:{trace}")
        )
        both = (producer, consumer)
        wait_until(lambda: len(frames(trace)) > 10, 15, "frames are presented")
        level = [descriptors(command) for command in both]
        with no_descriptors(*both):
            assert proxy.cut(reset=False)
            consumer.wait_line("Too many open files")
            wait_until(lambda: consumer.err.text.count("Too many open files") >= 2, 20, "it goes on trying")
        raised_s = time.time()
        wait_until(lambda: len(since(trace, raised_s)) > 10, 20, "frames come again")
        assert longest_pause_s(since(trace, raised_s), raised_s) < scaled(RECOVERY_S)
        wait_until(
            lambda: all(descriptors(one) <= was for one, was in zip(both, level, strict=True)), 5, "no leak"
        )
        stop(*both)
    fresh(trace)
    for command in both:
        few_lines(command)


@pytest.mark.brokerless
@pytest.mark.parametrize("design", ["threads", "multiplex"])
def test_a_producer_without_descriptors_accepts_when_it_has_some_again(
    design: str, stream: str, tmp_path: Path
) -> None:
    url = tcp_url(design)
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    with ExitStack() as stack:

        def start(program: str, *flags: str) -> Command:
            return stack.enter_context(running(program, "--url", url, "--stream", stream, *flags))

        producer = start("producer", "--size", "160x90")
        producer.wait_line("listening")
        watching = start("consumer", "--sink", f"trace:{old}")
        wait_until(lambda: len(frames(old)) > 10, 15, "frames are presented")
        with no_descriptors(producer):
            coming = start("consumer", "--sink", f"trace:{new}")
            producer.wait_line("no more connections: Too many open files")
            mark_s = time.time()
            wait_until(lambda: len(since(old, mark_s)) > 30, 20, "connected consumers are served")
        raised_s = time.time()
        wait_until(lambda: len(since(new, raised_s)) > 10, 20, "frames are presented")
        assert longest_pause_s(since(new, raised_s), raised_s) < scaled(RECOVERY_S)
        stop(coming, watching, producer)
    few_lines(producer)


def test_sinks_and_shared_memory_do_without_descriptors_and_go_on(
    url: str, stream: str, tmp_path: Path
) -> None:
    """A file cannot be opened, a hub's memory not be attached: the frames come all the same."""
    trace = tmp_path / "t.csv"
    with ExitStack() as stack:

        def start(program: str, *flags: str) -> Command:
            return stack.enter_context(running(program, "--url", url, "--stream", stream, *flags))

        producer = start("producer", "--size", "160x90")
        producer.wait_line("connected" if url.startswith("amqp") else "listening")
        consumer = start(
            "consumer", "--name", "c", "--sink", f"trace:{trace}", "--sink", f"snapshot:{tmp_path}/s.jpg"
        )
        wait_until(lambda: len(frames(trace)) > 10, 15, "frames are presented")
        with no_descriptors(consumer):
            mark_s = time.time()
            hub = start("consumer", "--name", "hub", "--sink", "share")
            hub.wait_line("slots")
            consumer.wait_line("s.jpg cannot be written: Too many open files")
            if url.startswith("amqp"):  # else it does not even reach the hub
                consumer.wait_line("Too many open files; the stream itself is used")
            wait_until(lambda: len(since(trace, mark_s)) > 20, 20, "frames are presented")
        raised_s = time.time()
        consumer.wait_line("s.jpg can be written again")
        wait_until(lambda: len(since(trace, raised_s)) > 20, 20, "frames are presented")
        assert longest_pause_s(since(trace, mark_s), mark_s) < scaled(RECOVERY_S)
        wait_until(lambda: _maps_shared(consumer), 20, "it uses the hub's pictures")
        stop(consumer, hub, producer)
    fresh(trace)
    few_lines(consumer)


def _maps_shared(command: Command) -> bool:
    maps = psutil.Process(command.process.pid).memory_maps()
    return any(mapped.path.startswith("/SYSV") for mapped in maps)
