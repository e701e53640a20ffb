"""Memory of the kernel, with real processes and real users."""

from __future__ import annotations

import mmap
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fanlight.common.shm import memory
from tests.support.timing import wait_until
from tests.support.users import as_nobody, python_of_others
from tests.unit.common.shm.build import child, end, memories

SIZE = 3 * mmap.PAGESIZE + 5

# Attaches the memory of this number, and says what is in it; lives until its input ends.
ATTACHER = """
import sys
from fanlight.common.shm import memory
attached = memory.attach(int(sys.argv[1]))
print(bytes(attached[:3]).decode(), flush=True)
sys.stdin.read()
"""


def test_another_process_sees_what_is_written_and_cannot_write() -> None:
    number, ours = memory.create(SIZE)
    assert ours == bytes(SIZE)
    theirs = memory.attach(number)
    ours[-3:] = b"abc"
    assert bytes(theirs[-3:]) == b"abc"
    assert theirs.readonly
    with pytest.raises(ValueError, match="WRITEABLE"):
        np.frombuffer(theirs, np.uint8).flags.writeable = True
    ours[:3] = b"def"
    with child(ATTACHER, number, says="def"):
        pass


def test_it_exists_as_long_as_it_is_used_and_no_longer() -> None:
    before = memories()
    number, ours = memory.create(SIZE)
    ours[:3] = b"abc"
    with child(ATTACHER, number, says="abc") as other:
        part = np.frombuffer(ours, np.uint8)[:3]
        del ours
        assert memories() == before + 1
        assert bytes(part) == b"abc", "a view keeps it"
        del part
        assert memories() == before + 1, "the other process has it"
        end(other)
        wait_until(lambda: memories() == before, 20, "a killed process keeps nothing")
    with pytest.raises(OSError, match=r"Invalid argument|Identifier removed"):
        memory.attach(number)


def test_what_cannot_be_had_is_an_error_of_the_system() -> None:
    before = memories()
    for size_bytes in (0, 2**62):
        with pytest.raises(OSError, match=r"Invalid argument|Cannot allocate|No space"):
            memory.create(size_bytes)
    assert memories() == before


# What another user tries with the number: to attach, to look, to change, to remove it.
OTHER_USER = """
import ctypes, sys
number, libc = int(sys.argv[1]), ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
assert libc.shmat(number, None, 0o10000) == libc.shmat(number, None, 0) == ctypes.c_void_p(-1).value
assert all(libc.shmctl(number, command, ctypes.create_string_buffer(256)) < 0 for command in range(3))
"""


def test_other_users_are_locked_out() -> None:
    number, ours = memory.create(SIZE)
    subprocess.run([python_of_others(), "-c", OTHER_USER, str(number)], **as_nobody(), cwd="/", check=True)
    assert ours == bytes(SIZE)


def test_nobody_can_resize_it_by_any_name_in_the_file_system() -> None:
    """A file in shared memory could be truncated; this is none."""
    _, ours = memory.create(SIZE)
    ours[:3] = b"abc"
    mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if "/SYSV" in line]
    assert mapped
    assert all(line.endswith("(deleted)") for line in mapped)
