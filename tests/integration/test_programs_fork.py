"""Programs that fork: the child is told what to do, and the parent's stream is not affected."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from copy import copy, deepcopy
from functools import partial
from multiprocessing.context import ForkContext, SpawnContext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fanlight import Consumer, Producer, Results, WrongProcess, aio, pairs
from fanlight.common.model.address import TcpAddress, parse_url
from fanlight.common.model.frame import Codec
from fanlight.common.model.pixels import FULL_BGR
from fanlight.common.shm.locks import Leadership
from fanlight.common.shm.names import RingName
from tests.support.broker import tcp_url
from tests.support.headers import header
from tests.support.hubs import comes_by, files_of
from tests.support.marked_stream import Marking, Watcher
from tests.support.timing import scaled, wait_until
from tests.support.usage import usage

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

FORK = multiprocessing.get_context("fork")
IMAGE = np.zeros((48, 64, 3), np.uint8)
HEADER = header(0, Codec.RAW, (64, 48), stream="cam")


def told_in_child(*calls: Callable[[], object]) -> list[str]:
    """What each raises, or else returns, in a forked child, which then ends as programs do."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        for call in calls:
            try:
                told = f"returned {call()}"
            except BaseException as error:  # noqa: BLE001 - the test compares it
                told = f"{type(error).__name__}: {error}"
            os.write(writing, f"{told}\n".encode())
        os.close(writing)
        gc.collect()
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        lines = pipe.read().splitlines()
    assert os.waitpid(child, 0)[1] == 0
    return lines


Call = Callable[[Any], object]
NOWHERE = "amqp://u:p@127.0.0.1:1/v"  # where there has to be a broker
READS: dict[str, Call] = {"read": lambda each: each.read(timeout_s=0.1), "iterate": iter}
SENDS: dict[str, Call] = {"send": lambda out: out.send(IMAGE)}
ALIKE: dict[str, Call] = {
    "start": lambda each: each.start(),
    "with": lambda each: each.__enter__(),
    "stats": lambda each: each.stats(),
}
ASYNCHRONOUS: dict[str, Call] = {
    "start": ALIKE["start"],
    "with": lambda each: asyncio.run(each.__aenter__()),
    "stats": ALIKE["stats"],
}
# How to make one, and what it may not do in a child.
KINDS: dict[str, tuple[Callable[[], Any], dict[str, Call]]] = {
    "Consumer": (lambda: Consumer(url=tcp_url("multiplex")), {**READS, **ALIKE}),
    "Producer": (lambda: Producer(url=tcp_url("multiplex")), {**SENDS, **ALIKE}),
    "Results": (lambda: Results(url=NOWHERE), {"send": lambda out: out.send(HEADER), **ALIKE}),
    "aio.Consumer": (
        lambda: aio.Consumer(url=tcp_url("multiplex")),
        {"read": lambda each: asyncio.run(each.read(timeout_s=0.1)), "iterate": aiter, **ASYNCHRONOUS},
    ),
    "aio.Producer": (
        lambda: aio.Producer(url=tcp_url("multiplex")),
        {"send": lambda each: asyncio.run(each.send(IMAGE)), **ASYNCHRONOUS},
    ),
}


@usage("Consumer", "fork", "`WrongProcess`; `close` does nothing")
@usage("Producer", "fork", "`WrongProcess`; `close` does nothing")
@usage("Results", "fork", "`WrongProcess`; `close` does nothing")
@usage("aio.Consumer", "fork", "`WrongProcess`; `close` does nothing")
@usage("aio.Producer", "fork", "`WrongProcess`; `close` does nothing")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("started", [True, False])
def test_a_child_that_uses_what_its_parent_made_is_told_what_to_do(kind: str, started: bool) -> None:
    make, calls = KINDS[kind]
    made = make()
    if started:
        made.start()
    close = partial(closed, made)
    told = told_in_child(*(partial(call, made) for call in calls.values()), close)
    close()
    says = f"WrongProcess: this {kind.removeprefix('aio.')} belongs to another process ({os.getpid()})"
    for name, line in zip(calls, told, strict=False):
        assert line.startswith(says), name
        assert "create one after the fork" in line
    assert told[len(calls) :] == ["returned None"]


def closed(made: Any) -> None:
    waited = made.close()
    if waited is not None:
        asyncio.run(waited)


@usage("pairs", "fork", "`WrongProcess`")
def test_a_child_gets_no_pairs_of_its_parents_consumer() -> None:
    with Consumer(streams=["a", "b"], url=NOWHERE) as consumer:
        matched = pairs(consumer)
        (told,) = told_in_child(partial(next, matched))
        assert consumer.read(timeout_s=0) is None  # the parent goes on
    assert told.startswith(f"WrongProcess: this Consumer belongs to another process ({os.getpid()})")


@pytest.mark.parametrize("kind", KINDS)
def test_one_cannot_be_copied_or_passed_to_another_process(kind: str) -> None:
    made = KINDS[kind][0]()
    for duplicate in (copy, deepcopy, pickle.dumps):
        with pytest.raises(WrongProcess, match=f"a {kind.removeprefix('aio.')} cannot be copied"):
            duplicate(made)
    closed(made)


def misuse(consumer: Consumer, out: Producer) -> None:
    """Everything that a child may try with what is its parent's; ends the child with 3 if it is let do."""
    attempts: list[Callable[[], object]] = [
        consumer.read, consumer.start, consumer.stats, out.start, partial(out.send, IMAGE), out.stats,
    ]  # fmt: skip
    for attempt in attempts:
        try:
            attempt()
        except WrongProcess:
            continue
        os._exit(3)
    consumer.close()
    out.close()
    gc.collect()


@pytest.mark.parametrize("way", ["os._exit", "multiprocessing", "killed"])
def test_nothing_that_a_child_does_with_them_reaches_the_parent(url: str, stream: str, way: str) -> None:
    with (
        Marking(url, stream) as feeder,
        Watcher(Consumer(stream=stream, name="w", url=url, via="broker")) as watcher,
    ):
        watcher.wait_flow()
        if way == "multiprocessing":
            process = FORK.Process(target=misuse, args=(watcher.consumer, feeder.producer))
            process.start()
            process.join(scaled(20))
            assert process.exitcode == 0
        else:
            child = os.fork()
            if child == 0:
                misuse(watcher.consumer, feeder.producer)
                if way == "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
                os._exit(0)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert code == (-signal.SIGKILL if way == "killed" else 0)
        watcher.wait_flow()
    assert not watcher.faults()
    assert watcher.consumer.stats().reconnects == feeder.producer.stats().reconnects == 0


ENDS_AS_PROGRAMS_DO = """
import os, sys
from fanlight import Consumer
consumer = Consumer(sys.argv[2], url=sys.argv[1], via="broker").start()
frames = [consumer.read(timeout_s=20) for _ in range(5)]
child = os.fork()
if child == 0:
    sys.exit()  # with all that an interpreter does at its end
assert os.waitpid(child, 0)[1] == 0
frames += [consumer.read(timeout_s=20) for _ in range(30)]
assert all(frames) and consumer.stats().reconnects == 0, consumer.stats()
"""


def test_an_orderly_end_of_the_child_does_not_reach_the_parent(url: str, stream: str) -> None:
    with Marking(url, stream):
        command = [sys.executable, "-c", ENDS_AS_PROGRAMS_DO, url, stream]
        done = subprocess.run(command, capture_output=True, text=True, timeout=scaled(60), check=False)
    assert (done.returncode, done.stderr.count("Error")) == (0, 0), done.stderr


def read_three(url: str, stream: str) -> None:
    with Consumer(stream=stream, name="child", url=url, via="broker") as consumer:
        for _ in range(3):
            if consumer.read(timeout_s=scaled(10)) is None:
                os._exit(1)


@pytest.mark.parametrize("context", [FORK, multiprocessing.get_context("spawn")])
def test_a_child_reads_by_a_consumer_of_its_own(
    url: str, stream: str, context: ForkContext | SpawnContext
) -> None:
    with (
        Marking(url, stream),
        Watcher(Consumer(stream=stream, name="w", url=url, via="broker")) as watcher,
    ):
        watcher.wait_flow()
        process = context.Process(target=read_three, args=(url, stream))
        process.start()
        process.join(scaled(30))
        assert process.exitcode == 0
        watcher.wait_flow()


class SleepingChild:
    """A forked child that does nothing until the end of the context."""

    def __enter__(self) -> None:
        self._pid = os.fork()
        if self._pid == 0:
            signal.pause()

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


@pytest.mark.parametrize("design", ["multiplex", "threads"])
def test_a_child_keeps_neither_the_port_nor_a_connection(stream: str, design: str) -> None:
    url = tcp_url(design)
    with (
        Watcher(Consumer(stream=stream, name="w", url=url, via="broker")) as watcher,
        ExitStack() as children,
    ):
        with Marking(url, stream):
            watcher.wait_flow()
            children.enter_context(SleepingChild())
        wait_until(lambda: not watcher.consumer.stats().connected, 20, "the connection is closed")
        address = parse_url(url)
        assert isinstance(address, TcpAddress)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address.host, address.port), timeout=scaled(2)).close()
        with Marking(url, stream):  # the port is free
            watcher.wait_flow()


def test_a_child_of_a_hub_does_not_keep_the_next_hub_from_taking_over(broker_url: str, stream: str) -> None:
    sharing = Consumer(stream=stream, name="hub", url=broker_url, share=True)
    with Marking(broker_url, stream), ExitStack() as children:
        with Watcher(sharing), Watcher(Consumer(stream=stream, name="w", url=broker_url)) as watcher:
            comes_by(watcher, shared=True)
            children.enter_context(SleepingChild())
            watcher.wait_captured(time.monotonic())
            comes_by(watcher, shared=True)  # the hub goes on
        assert not files_of(stream)
        with (
            Watcher(Consumer(stream=stream, name="next", url=broker_url, share=True)),
            Watcher(Consumer(stream=stream, name="w2", url=broker_url)) as again,
        ):
            comes_by(again, shared=True)


def test_the_child_of_a_hub_that_was_killed_does_not_hold_its_lock(tmp_path: Path) -> None:
    ring = RingName("cam", FULL_BGR, "12345678")
    held = Leadership(ring, tmp_path)
    tmp_path.chmod(0o700)
    assert held.acquire()
    with SleepingChild():
        assert held._file is not None
        os.close(held._file)  # as the kernel does for a process that is killed
        held._file = None
        next_one = Leadership(ring, tmp_path)
        wait_until(next_one.acquire, 20, "the lock is free")
        next_one.release()
