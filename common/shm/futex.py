"""Linux futexes (futex(2)): one process changes a word in shared memory and wakes all that wait on it."""

from __future__ import annotations

import ctypes
import platform
import sys
from typing import Final

import numpy as np

# The numbers of the system call (arch/*/include/asm/unistd.h); its time limit is a timespec of two longs.
_NUMBERS: Final = {"x86_64": 202, "aarch64": 98, "riscv64": 98, "ppc64le": 221, "s390x": 238}
_NUMBER: Final = _NUMBERS.get(platform.machine(), -1)
_WAIT, _WAKE = 0, 1
_ALL: Final = 2**31 - 1
# The futex word is the low half of a 64-bit counter, which changes with every step.
_LOW_HALF: Final = 0 if sys.byteorder == "little" else 4

available: Final = sys.platform == "linux" and _NUMBER >= 0 and sys.maxsize > 2**32
"""Whether this system supports them."""


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class Futex:
    """A 64-bit counter in mapped memory; other processes wait for it to change. `wait` is not thread-safe.

    Args:
        words: the memory, in words of 64 bits; has to stay mapped. Read-only memory suffices to wait.
        at: index of the counter.
    """

    def __init__(self, words: memoryview[int], at: int) -> None:
        self._words = words
        self._at = at
        self._address = np.frombuffer(words, np.uint64).ctypes.data + 8 * at + _LOW_HALF
        self._timeout = _Timespec()
        self._timeout_s = -1.0
        self._pointer = ctypes.addressof(self._timeout)
        call = ctypes.CDLL(None).syscall
        call.argtypes = (
            ctypes.c_long, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p,
        )  # fmt: skip
        self._call = call

    def wait(self, value: int, timeout_s: float) -> int:
        """Wait until the counter differs from `value`, the timeout expires or a signal arrives.

        Releases the GIL while waiting. Returns the counter.
        """
        words, at = self._words, self._at
        if words[at] == value and timeout_s > 0:
            if timeout_s != self._timeout_s:
                self._timeout_s = timeout_s
                self._timeout.seconds = seconds = int(timeout_s)
                self._timeout.nanoseconds = int((timeout_s - seconds) * 1e9)
            self._call(_NUMBER, self._address, _WAIT, value & 0xFFFFFFFF, self._pointer)
        return words[at]

    def wake_all(self) -> None:
        """Wake all waiting threads of all processes."""
        self._call(_NUMBER, self._address, _WAKE, _ALL, None)
