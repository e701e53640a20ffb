"""Shared memory that keeps its size: System V segments (shmget(2)).

The owner of a file in /dev/shm can truncate it, which ends all processes that then read it (SIGBUS). A
segment has neither name nor file: only its user can attach it, by its number; nobody can resize it, and the
kernel frees it when the last process that has it attached has ended, however it ends.
"""

from __future__ import annotations

import ctypes
import os
import platform
import weakref
from struct import Struct
from typing import Final

from fanlight.common.model.errors import WireFormatError

_PRIVATE, _CREATE, _READ_ONLY = 0, 0o1000, 0o10000
_REMOVE, _STATUS = 0, 2
_FAILED: Final = ctypes.c_void_p(-1).value
# `struct shmid_ds` (asm/shmbuf.h): key, uid, gid, uid and gid of the creator, ... size.
_STATUS_BYTES: Final = 256
_OWNERS: Final = Struct("@iIIII")
_SIZE: Final = Struct("@N")
_SIZE_AT: Final = 72 if platform.machine() == "ppc64le" else 48

_library: Final = ctypes.CDLL(None, use_errno=True)
_library.shmget.argtypes = ctypes.c_int, ctypes.c_size_t, ctypes.c_int
_library.shmat.argtypes = ctypes.c_int, ctypes.c_void_p, ctypes.c_int
_library.shmat.restype = ctypes.c_void_p
_library.shmdt.argtypes = (ctypes.c_void_p,)
_library.shmctl.argtypes = ctypes.c_int, ctypes.c_int, ctypes.c_void_p


def create(size_bytes: int) -> tuple[int, memoryview]:
    """The number and the bytes of new memory, all zero, for this user alone.

    The memory exists until no process has it attached. Raises OSError.
    """
    number = _checked(_library.shmget(_PRIVATE, size_bytes, _CREATE | 0o600))
    try:
        return number, _attached(number, 0)
    finally:
        # Frees it once nobody uses it; until then Linux lets others attach it nevertheless (shmctl(2)).
        _library.shmctl(number, _REMOVE, None)


def attach(number: int) -> memoryview:
    """The bytes of memory that a process of this user has created, read-only.

    Raises:
        OSError: there is none of that number, or it is another user's.
        WireFormatError: it is another user's, and open to all.
    """
    return _attached(number, _READ_ONLY).toreadonly()


def _attached(number: int, flags: int) -> memoryview:
    address = _library.shmat(number, None, flags)
    if address == _FAILED:
        raise _error()
    try:  # from now on the number cannot become that of other memory
        array = (ctypes.c_ubyte * _own_size_bytes(number)).from_address(address)
    except BaseException:
        _library.shmdt(address)
        raise
    # Not at the end of the interpreter: other threads may still read.
    weakref.finalize(array, _library.shmdt, address).atexit = False
    return memoryview(array).cast("B")


def _own_size_bytes(number: int) -> int:
    """The size of attached memory, which must be this user's."""
    status = ctypes.create_string_buffer(_STATUS_BYTES)
    _checked(_library.shmctl(number, _STATUS, status))
    _, uid, _, creator, _ = _OWNERS.unpack_from(status)
    if not uid == creator == os.geteuid():
        raise WireFormatError("owner", creator, f"{os.geteuid()}, who uses it")
    return int(_SIZE.unpack_from(status, _SIZE_AT)[0])


def _checked(result: int) -> int:
    if result < 0:
        raise _error()
    return result


def _error() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))
