"""Objects in a process that was forked from theirs.

A fork copies the memory and the file descriptors, but none of the threads: a copied connection has nobody
that serves it, and whatever the child reads or sends there is missing in the parent.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar
from weakref import WeakKeyDictionary

from fanlight.common.model.errors import WrongProcess

T = TypeVar("T")

_to_release: Final[WeakKeyDictionary[Any, Callable[[Any], object]]] = WeakKeyDictionary()


def release_in_child(owner: T, release: Callable[[T], object]) -> None:
    """Call `release(owner)` in every process that is forked while `owner` exists. Thread-safe.

    To close copies of descriptors: they keep a port, a connection or a lock when the parent has ended. It
    must not do what affects the parent, such as shutting a connection down.
    """
    _to_release[owner] = release


def _release() -> None:
    for owner, release in list(_to_release.items()):
        with contextlib.suppress(OSError, BufferError):
            release(owner)
    _to_release.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release)


class OfOneProcess:
    """Base of objects that only work in the process that made them."""

    def __init__(self) -> None:
        self._process = os.getpid()

    @property
    def inherited(self) -> bool:
        """Whether this process was forked from the one that made the object."""
        return os.getpid() != self._process

    def check_process(self) -> None:
        """Raises WrongProcess if it is inherited."""
        if self.inherited:
            raise WrongProcess(
                f"this {type(self).__name__} belongs to another process ({self._process}), of which this "
                "is a fork: create one after the fork, or use multiprocessing's 'spawn'"
            )

    def __reduce__(self) -> NoReturn:
        name = type(self).__name__
        raise WrongProcess(f"a {name} cannot be copied or passed to another process: create one there")
