"""One live camera, many processes: `from fanlight import Producer, Consumer`.

The three parts are folders of the checkout; the links beside this file make them parts of one package.
"""

from __future__ import annotations

__all__ = ["Consumer", "Frame", "Producer"]
__version__ = "0.1.0"

# Not from `typing`: until a command handles signals, it imports as little as possible.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from fanlight.consumer.consumer import Consumer
    from fanlight.consumer.frame import Frame
    from fanlight.producer.producer import Producer
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # Imported when asked for: a consumer needs no encoder, and `--help` no codec.
        from fanlight import consumer, producer

        return getattr(producer if name == "Producer" else consumer, name)


def __dir__() -> list[str]:
    return __all__
