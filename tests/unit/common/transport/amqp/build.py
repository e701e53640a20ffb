"""A protocol that records what happens to it, and pika's own loop, run until something has."""

from __future__ import annotations

import time
from collections.abc import Callable

from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.nbio_interface import AbstractStreamProtocol, AbstractStreamTransport

from tests.support.timing import scaled


class Protocol(AbstractStreamProtocol):
    """Stands for pika's connection."""

    def __init__(self) -> None:
        self.transport: AbstractStreamTransport | None = None
        self.pieces: list[bytes] = []
        self.lost: list[BaseException | None] = []
        self.ended = False

    @property
    def received(self) -> bytes:
        return b"".join(self.pieces)

    def connection_made(self, transport: AbstractStreamTransport) -> None:
        self.transport = transport

    def connection_lost(self, error: BaseException | None) -> None:
        self.lost.append(error)

    def eof_received(self) -> bool:
        self.ended = True
        return False

    def data_received(self, data: bytes) -> None:
        if data == b"bug":
            raise OverflowError("in a callback of ours")
        self.pieces.append(data)


def run_until(loop: IOLoop, condition: Callable[[], object]) -> None:
    """Run the loop; a failure if that takes too long."""
    give_up_s = time.monotonic() + scaled(5)

    def check() -> None:
        if condition() or time.monotonic() > give_up_s:
            loop.stop()
        else:
            loop.call_later(0.001, check)

    loop.call_later(0, check)
    loop.start()
    assert condition()


def run_once(loop: IOLoop) -> None:
    """All that is due is done."""
    run_until(loop, iter([False, False, True, True]).__next__)
