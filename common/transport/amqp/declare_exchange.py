"""How a consumer comes by an exchange that it may, or may not, be allowed to declare. Pure.

Nobody tells a client what it may do; the broker closes the channel over what it may not. So it looks first
whether the exchange is there, which everybody may; declares it if not; and if that is refused, waits for
its producer.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

_NOT_FOUND: Final = 404
_ACCESS_REFUSED: Final = 403


class _Way(Enum):
    LOOK = auto()
    DECLARE = auto()
    WAIT = auto()


class ExchangeDeclaration:
    """Belongs to one subscriber, over all its connections."""

    def __init__(self) -> None:
        self._way = _Way.LOOK

    @property
    def passive(self) -> bool:
        """Whether an exchange is only looked for, not declared (AMQP's `passive`)."""
        return self._way is not _Way.DECLARE

    def again(self, code: int | None) -> bool:
        """A channel was closed with this reply code: True if there is another way, to be taken at once.

        True twice at most: it never makes a loop.
        """
        if self._way is _Way.LOOK and code == _NOT_FOUND:
            self._way = _Way.DECLARE
            return True
        if self._way is _Way.DECLARE and code == _ACCESS_REFUSED:
            self._way = _Way.WAIT
            return True
        return False
