"""A stream over a cluster, with clients at the nodes where a test wants them."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Self, TypeVar

from fanlight.common.transport.amqp import link
from fanlight.consumer import Consumer
from tests.support.commands import at_most_one_a_second
from tests.support.marked_stream import Marking, Watcher
from tests.support.timing import wait_until

FPS = 30
MAX_AGE_S = 0.5
_TRIES = 60
_Client = TypeVar("_Client", Marking, Watcher)


@dataclass(frozen=True, slots=True)
class Move:
    """A client connected to the node with that port (Unix time)."""

    at_s: float
    port: int


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is done to a node, and who is there.

    Attributes:
        at_s: monotonic; unix_s: the same as Unix time.
        port: of the node.
        connected: how often each client had connected before.
    """

    at_s: float
    unix_s: float
    port: int
    there: frozenset[str]
    connected: dict[str, int]


class Log(logging.Handler):
    """What the links say while it is entered."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._logger = logging.getLogger(link.__name__)
        self._records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)

    def __enter__(self) -> Self:
        self._level = self._logger.level
        self._logger.setLevel(logging.INFO)
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)

    def moves(self, client: str) -> list[Move]:
        """Each time that a client has connected."""
        found = re.compile(rf"{re.escape(client)}: connected to .*:(\d+)/")
        said = [(record.created, found.search(record.getMessage())) for record in list(self._records)]
        return [Move(created_s, int(match[1])) for created_s, match in said if match]

    def port(self, client: str) -> int | None:
        """The port of the node where a client is, or was last."""
        moves = self.moves(client)
        return moves[-1].port if moves else None

    def warned_s(self, client: str) -> list[float]:
        """When it warned (Unix time)."""
        return [
            record.created
            for record in list(self._records)
            if f"{client}: " in record.getMessage() and record.levelno >= logging.WARNING
        ]

    def silence(self, client: str, since_s: float) -> bool:
        """Whether it said since then (Unix time) that a node does not answer."""
        said = [
            record.getMessage()
            for record in list(self._records)
            if f"{client}: " in record.getMessage() and record.created > since_s
        ]
        return any("no answer within" in line or "does not answer" in line for line in said)

    @property
    def text(self) -> str:
        return "\n".join(f"{record.created:.3f} {record.getMessage()}" for record in list(self._records))


@dataclass(frozen=True, slots=True)
class Clustered:
    """A producer and a watcher at every node.

    Attributes:
        clients: what each is called in the log, the producer first.
        since_s: since when they are there (Unix time); others of the same names came before.
    """

    feeder: Marking
    watchers: list[Watcher]
    clients: list[str]
    log: Log
    since_s: float

    def moment(self, port: int) -> Moment:
        """Now, before something is done to the node with that port."""
        connected = {client: len(self.log.moves(client)) for client in self.clients}
        there = frozenset(client for client in self.clients if self.log.port(client) == port)
        return Moment(time.monotonic(), time.time(), port, there, connected)

    def wait_flow(self, frames: int = 10) -> None:
        """Wait for so many frames, from now on, at every watcher."""
        marks = [len(watcher.seen) for watcher in self.watchers]

        def flows() -> bool:
            pairs = zip(self.watchers, marks, strict=True)
            return all(len(watcher.seen) >= mark + frames for watcher, mark in pairs)

        wait_until(flows, 30, f"{frames} frames at every watcher")

    def wait_moved(self, moment: Moment) -> None:
        """Wait until everybody who was at that node is at another."""
        wait_until(
            lambda: all(self.log.port(client) != moment.port for client in moment.there),
            30,
            f"all leave {moment.port}",
        )

    def moved(self, moment: Moment) -> dict[str, int]:
        """How often each client has connected again since."""
        return {client: len(self.log.moves(client)) - moment.connected[client] for client in self.clients}

    def strayed(self, moment: Moment) -> dict[str, int]:
        """How often clients have connected again that had to stay where they were, or more than once.

        A node of a busy machine may be silent for seconds; who says so has left it with good reason.
        """
        strayed = {}
        for client, times in self.moved(moment).items():
            left_a_silent_one = times > 0 and self.log.silence(client, moment.unix_s)
            if times != int(client in moment.there) and not left_a_silent_one:
                strayed[client] = times
        return strayed

    def recovered_s(self, moment: Moment) -> list[float]:
        """For each watcher: after how long it had a picture that was taken when its own connection and the
        producer's stood again. By then all are back."""
        return [
            self._recovered_s(watcher, client, moment)
            for watcher, client in zip(self.watchers, self.clients[1:], strict=True)
        ]

    def _recovered_s(self, watcher: Watcher, client: str, moment: Moment) -> float:
        moves = [move for name in (self.clients[0], client) for move in self.log.moves(name)]
        settled_s = max(moment.unix_s, *(move.at_s for move in moves))
        return next(
            (seen.at_s - moment.at_s for seen in watcher.seen if seen.capture_ns > settled_s * 1e9),
            float("inf"),
        )

    def wrong(self) -> list[str]:
        """What must never be."""
        found = [fault for watcher in self.watchers for fault in watcher.faults(MAX_AGE_S)]
        epochs = {seen.epoch for watcher in self.watchers for seen in watcher.seen}
        if epochs != {self.feeder.producer.epoch}:
            found.append(f"epochs {epochs} of a producer with {self.feeder.producer.epoch}")
        for client in self.clients:
            warned = [at_s for at_s in self.log.warned_s(client) if at_s > self.since_s]
            if not at_most_one_a_second(warned):
                found.append(f"{client} warned too often: {warned}")
        return found


@contextmanager
def clustered(url: str, ports: list[int], stream: str, log: Log) -> Iterator[Clustered]:
    """A producer at the first node, a watcher at each; frames come."""
    producer = f"fanlight producer {stream}"
    with ExitStack() as stack:
        feeder = _placed(stack, lambda: Marking(url, stream, fps=FPS), producer, ports[0], log)
        watchers, clients = [], [producer]
        for number, port in enumerate(ports):
            name = f"w{number}"
            clients.append(f"fanlight consumer {stream} {name}")

            def watcher(name: str = name) -> Watcher:
                return Watcher(Consumer(stream=stream, name=name, url=url, max_age_s=MAX_AGE_S))

            watchers.append(_placed(stack, watcher, clients[-1], port, log))
        running = Clustered(feeder, watchers, clients, log, time.time())
        running.wait_flow()
        yield running
        assert feeder.producer.failure is None


def _placed(stack: ExitStack, make: Callable[[], _Client], client: str, port: int, log: Log) -> _Client:
    """A client at that node: where it goes is drawn at random, so it is made anew until it is there."""
    for _ in range(_TRIES):
        before = len(log.moves(client))
        with ExitStack() as trial:
            made = trial.enter_context(make())
            wait_until(partial(_connected, log, client, before), 10, f"{client} connects")
            if log.port(client) == port:
                stack.push(trial.pop_all())
                return made
    raise AssertionError(f"{client} never went to {port}")


def _connected(log: Log, client: str, before: int) -> bool:
    return len(log.moves(client)) > before
