"""The producing side: `from fanlight import Producer`, or `python -m producer` in a checkout."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

__all__ = ["Producer"]

if TYPE_CHECKING:
    from fanlight.producer.producer import Producer
else:

    def __getattr__(name: str) -> object:
        if name != "Producer":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if __name__ == "producer":
            warnings.warn("write: from fanlight import Producer", DeprecationWarning, stacklevel=2)
        # Imported on first use: `python -m producer --help` needs no codecs.
        from fanlight.producer.producer import Producer

        return Producer


def __dir__() -> list[str]:
    return __all__
