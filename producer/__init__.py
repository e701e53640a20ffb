"""The producing side: `from fanlight import Producer`, or `python -m producer` in a checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["Producer"]

if TYPE_CHECKING:
    from fanlight.producer.producer import Producer
else:

    def __getattr__(name: str) -> object:
        # Imported when asked for: `python -m producer --help` has no use for codecs.
        if name == "Producer":
            from fanlight.producer.producer import Producer

            return Producer
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
