from __future__ import annotations

import os
import pty
import select
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from fanlight.common.runtime.output import UnblockedText
from tests.support.timing import scaled

LINE = "x" * 99 + "\n"


def pipe() -> tuple[int, int]:
    return os.pipe()


def terminal() -> tuple[int, int]:
    return pty.openpty()


def connection() -> tuple[int, int]:
    reading, writing = socket.socketpair()
    return reading.detach(), writing.detach()


class Bench:
    """Something to write to, and its other end."""

    def __init__(self, kind: Callable[[], tuple[int, int]]) -> None:
        self.reading, self.writing = kind()
        self.text = UnblockedText(self.writing, "utf-8")

    def read_all(self) -> str:
        found = b""
        while select.select([self.reading], [], [], scaled(0.5))[0]:
            found += os.read(self.reading, 65536)
        return found.decode().replace("\r\n", "\n")

    def write(self, lines: int) -> None:
        """By another thread, which must not be kept."""
        thread = threading.Thread(target=lambda: [self.text.write(LINE) for _ in range(lines)], daemon=True)
        thread.start()
        thread.join(scaled(20))
        assert not thread.is_alive()


@pytest.fixture(params=[pipe, terminal, connection])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(request.param)
    yield made
    made.text.close()
    os.close(made.reading)
    os.close(made.writing)


def test_what_is_read_comes_whole(bench: Bench) -> None:
    bench.write(10)
    bench.text.write("Grüße\n")
    assert bench.read_all() == LINE * 10 + "Grüße\n"


def test_what_nobody_reads_is_dropped_and_counted(bench: Bench) -> None:
    bench.write(20_000)
    before = bench.read_all()
    bench.text.write("again\n")
    after = bench.read_all()
    assert "again\n" in after
    (dropped,) = (int(line[1:].split()[0]) for line in after.splitlines() if line.startswith("("))
    assert before.count(LINE) + dropped == 20_000


@pytest.mark.parametrize("kind", [pipe])
def test_others_who_share_a_pipe_are_not_made_non_blocking(kind: Callable[[], tuple[int, int]]) -> None:
    made = Bench(kind)
    assert os.get_blocking(made.writing)
    made.text.close()
    os.close(made.reading)
    os.close(made.writing)


def test_a_reader_that_is_gone_is_told() -> None:
    made = Bench(pipe)
    os.close(made.reading)
    with pytest.raises(BrokenPipeError):
        made.text.write(LINE)
    made.text.close()
    os.close(made.writing)
