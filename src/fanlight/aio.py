"""The classes for asyncio: `async for frame in aio.Consumer("cam")`, `await aio.Producer().send(image)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["Consumer", "Pairs", "Producer", "pairs"]

if TYPE_CHECKING:
    from fanlight.consumer.async_consumer import Consumer
    from fanlight.consumer.pairs import AsyncPairs as Pairs
    from fanlight.consumer.pairs import async_pairs as pairs
    from fanlight.producer.async_producer import Producer
else:
    _PLACES = {
        "Consumer": ("consumer.async_consumer", "Consumer"),
        "Pairs": ("consumer.pairs", "AsyncPairs"),
        "Producer": ("producer.async_producer", "Producer"),
        "pairs": ("consumer.pairs", "async_pairs"),
    }

    def __getattr__(name: str) -> object:
        # Imported when asked for, as in the package itself: a consumer needs no encoder.
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module, attribute = _PLACES[name]
        return getattr(import_module(f"fanlight.{module}"), attribute)


def __dir__() -> list[str]:
    return __all__
