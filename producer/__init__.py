"""The producing side: `from fanlight import Producer`, or `python -m producer` in a checkout."""

from __future__ import annotations

__all__ = ["Producer"]

# Not from `typing`: until a command handles signals, it imports as little as possible.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from fanlight.producer.producer import Producer
else:

    def __getattr__(name: str) -> object:
        if name != "Producer":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if __name__ == "producer":
            import warnings

            warnings.warn("write: from fanlight import Producer", DeprecationWarning, stacklevel=2)
        # Imported on first use: `python -m producer --help` needs no codecs.
        from fanlight.producer.producer import Producer

        return Producer


def __dir__() -> list[str]:
    return __all__
