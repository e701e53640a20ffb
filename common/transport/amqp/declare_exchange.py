"""Declares an exchange with or without the permission to do so.

A client cannot query its permissions; the broker closes the channel when an operation is forbidden. So a
consumer first checks whether the exchange exists, which needs no permission; declares it if not; and if
that is refused, waits until its producer has declared it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final

from pika.channel import Channel

_NOT_FOUND: Final = 404
_ACCESS_REFUSED: Final = 403


class _Method(Enum):
    CHECK = auto()
    DECLARE = auto()
    WAIT = auto()


class ExchangeDeclaration:
    """Belongs to one subscriber or announcer, over all its connections. In the link's thread."""

    def __init__(self) -> None:
        self._method = _Method.CHECK

    @property
    def passive(self) -> bool:
        """Whether an exchange is only checked for, not declared (AMQP's `passive`)."""
        return self._method is not _Method.DECLARE

    def declare(
        self, channel: Channel, exchange: str, kind: str, on_declared: Callable[[Any], None] | None = None
    ) -> None:
        channel.exchange_declare(exchange, kind, durable=True, passive=self.passive, callback=on_declared)

    def again(self, code: int | None) -> bool:
        """A channel was closed with this reply code: True if another method is to be tried at once.

        True twice at most, so that it cannot loop.
        """
        if self._method is _Method.CHECK and code == _NOT_FOUND:
            self._method = _Method.DECLARE
            return True
        if self._method is _Method.DECLARE and code == _ACCESS_REFUSED:
            self._method = _Method.WAIT
            return True
        return False
