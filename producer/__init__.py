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
        # Imported on first use: `python -m producer --help` needs no codecs.
        if __name__ == "producer":
            from fanlight.common.former_names import warn_former_name

            warn_former_name("from fanlight import Producer")
        from fanlight.producer.producer import Producer

        return Producer


def __dir__() -> list[str]:
    return __all__
