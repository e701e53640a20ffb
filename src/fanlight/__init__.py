"""One live camera, many processes: `from fanlight import Producer, Consumer`.

The three parts are folders of the checkout; the links beside this file make them parts of one package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["Consumer", "Frame", "Producer"]

if TYPE_CHECKING:
    from fanlight.consumer.consumer import Consumer
    from fanlight.consumer.frame import Frame
    from fanlight.producer.producer import Producer
else:

    def __getattr__(name: str) -> object:
        # Imported when asked for: a consumer needs no encoder, and `--help` no codec.
        if name in ("Consumer", "Frame"):
            from fanlight import consumer

            return getattr(consumer, name)
        if name == "Producer":
            from fanlight.producer import Producer

            return Producer
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
