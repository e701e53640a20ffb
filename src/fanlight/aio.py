"""The classes for asyncio: `async for frame in aio.Consumer("cam")`, `await aio.Producer().send(image)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["Consumer", "Producer"]

if TYPE_CHECKING:
    from fanlight.consumer.async_consumer import Consumer
    from fanlight.producer.async_producer import Producer
else:

    def __getattr__(name: str) -> object:
        if name == "Consumer":
            from fanlight.consumer import async_consumer as part
        elif name == "Producer":
            from fanlight.producer import async_producer as part
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(part, name)
