"""Real waiting: threads and processes at a word of mapped memory, as the kernel shows them."""

from __future__ import annotations

import mmap
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from fanlight.common.shm.futex import Futex
from tests.support.timing import scaled, wait_until
from tests.unit.common.shm.build import child, in_futex

AT = 3
LONG_S = 60.0

# Waits at a read-only mapping for other values than it is given, and prints what it finds.
WAITER = f"""
import mmap, sys
from fanlight.common.shm.futex import Futex
with open(sys.argv[1], "rb") as file:
    memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
futex = Futex(memoryview(memory).cast("Q"), {AT})
print("ready", flush=True)
for line in sys.stdin:
    print(futex.wait(int(line), {LONG_S}), flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "words"
    path.write_bytes(bytes(mmap.PAGESIZE))
    return path


@pytest.fixture
def words(path: Path) -> memoryview[int]:
    with path.open("r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    return memoryview(memory).cast("Q")


def ask(process: subprocess.Popen[str], value: int) -> None:
    """Have a waiter wait for another value than this."""
    assert process.stdin is not None
    process.stdin.write(f"{value}\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


class Thread:
    """One that waits, and what it found."""

    def __init__(self, wait: Callable[[], int]) -> None:
        self.found: int | None = None
        self._wait = wait
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def join(self) -> int | None:
        self._thread.join(scaled(20))
        return self.found

    @property
    def waits(self) -> bool:
        return in_futex(self._thread)

    def _run(self) -> None:
        self.found = self._wait()


def test_processes_wait_at_a_read_only_mapping_and_wake_together(
    words: memoryview[int], path: Path
) -> None:
    writer = Futex(words, AT)
    with ExitStack() as stack:
        waiters = [stack.enter_context(child(WAITER, path, says="ready")) for _ in range(5)]
        for value in (0, 1, 2):
            for process in waiters:
                ask(process, value)
            wait_until(lambda: all(in_futex(process.pid) for process in waiters), 20, "all of them wait")
            began_s = time.monotonic()
            words[AT] = value + 1
            writer.wake_all()
            assert [answer(process) for process in waiters] == [value + 1] * 5
            assert time.monotonic() - began_s < LONG_S / 2


@pytest.mark.parametrize("value", [0, 1, 2**32 - 1, 2**32, 2**40 + 5, 2**63])
def test_a_counter_may_be_larger_than_the_word_that_the_kernel_compares(
    words: memoryview[int], value: int
) -> None:
    words[AT] = value
    thread = Thread(lambda: Futex(words, AT).wait(value, LONG_S))
    wait_until(lambda: thread.waits, 20, "it waits")
    words[AT] = value + 1
    assert thread.waits, "a change alone is not noticed: nobody polls"
    Futex(words, AT).wake_all()
    assert thread.join() == value + 1


def test_waking_ends_the_waits_at_its_own_word_even_without_a_change(words: memoryview[int]) -> None:
    thread = Thread(lambda: Futex(words, AT + 1).wait(0, LONG_S))
    wait_until(lambda: thread.waits, 20, "it waits")
    words[AT] = 1
    Futex(words, AT).wake_all()
    assert thread.waits
    Futex(words, AT + 1).wake_all()
    assert thread.join() == 0


def test_neither_a_changed_value_nor_no_time_is_waited_for(words: memoryview[int]) -> None:
    words[AT] = 5
    began_s = time.monotonic()
    assert [Futex(words, AT).wait(*wait) for wait in ((4, LONG_S), (5, 0.0), (5, -1.0))] == [5] * 3
    assert time.monotonic() - began_s < LONG_S / 2


def test_the_wait_ends_with_its_time_which_may_be_another_each_time(words: memoryview[int]) -> None:
    waiting = Futex(words, AT)
    for timeout_s in (0.02, 0.1, 0.02, 1.05):
        began_s = time.monotonic()
        assert waiting.wait(0, timeout_s) == 0
        assert timeout_s <= time.monotonic() - began_s < LONG_S / 2


def test_a_signal_ends_the_wait(words: memoryview[int]) -> None:
    """Else Ctrl-C would have to wait for a hub's next picture."""
    caught: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: caught.append(number))
    main = threading.main_thread()

    def interrupt() -> None:
        wait_until(lambda: in_futex(main), 20, "it waits")
        assert main.ident is not None
        signal.pthread_kill(main.ident, signal.SIGUSR1)

    thread = threading.Thread(target=interrupt)
    try:
        thread.start()
        began_s = time.monotonic()
        assert Futex(words, AT).wait(0, LONG_S) == 0
        assert time.monotonic() - began_s < LONG_S / 2
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert caught == [signal.SIGUSR1]
