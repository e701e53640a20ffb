"""Runs an object that programs use through every order of calls, beside a model of what each does."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import pytest

from fanlight import Consumer, Producer, Results, StreamEnded

Both = TypeVar("Both", Producer, Consumer, Results)
Calls = Mapping[str, Callable[[Both], object]]

CLOSES: Final = frozenset({"close", "with"})
ALWAYS_WORKS: Final = frozenset({"close", "stats"})


def check_every_order(make: Callable[[], Both], calls: Calls[Both], length: int) -> None:
    """Once it is closed every call but those in `ALWAYS_WORKS` raises StreamEnded; before, none raises.

    Args:
        calls: what may be called, by name.
        length: of every order.
    """
    for order in itertools.product(calls, repeat=length):
        tried = make()
        closed = False
        try:
            for name in order:
                if closed and name not in ALWAYS_WORKS:
                    with pytest.raises(StreamEnded, match=r"(was|were) closed"):
                        calls[name](tried)
                else:
                    calls[name](tried)
                closed = closed or name in CLOSES
        except BaseException as error:
            error.add_note(f"order: {order}")
            raise
        finally:
            tried.close()


def entered(tried: Producer | Consumer | Results) -> None:
    with tried as same:
        assert same is tried
