"""The receiving side: `from fanlight import Consumer`, or `python -m consumer` in a checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["Consumer", "Frame"]

if TYPE_CHECKING:
    from fanlight.consumer.consumer import Consumer
    from fanlight.consumer.frame import Frame
else:

    def __getattr__(name: str) -> object:
        # Imported when asked for: `python -m consumer --help` has no use for codecs.
        if name == "Consumer":
            from fanlight.consumer.consumer import Consumer

            return Consumer
        if name == "Frame":
            from fanlight.consumer.frame import Frame

            return Frame
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
