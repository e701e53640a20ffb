"""The receiving side: `from fanlight import Consumer`, or `python -m consumer` in a checkout."""

from __future__ import annotations

__all__ = ["Consumer", "Frame"]

# Not from `typing`: until a command handles signals, it imports as little as possible.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from fanlight.consumer.consumer import Consumer
    from fanlight.consumer.frame import Frame
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if __name__ == "consumer":
            import warnings

            warnings.warn(f"write: from fanlight import {name}", DeprecationWarning, stacklevel=2)
        # Imported on first use: `python -m consumer --help` needs no codecs.
        from fanlight.consumer import consumer, frame

        return consumer.Consumer if name == "Consumer" else frame.Frame


def __dir__() -> list[str]:
    return __all__
