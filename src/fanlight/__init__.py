"""One live camera, many processes: `from fanlight import Producer, Consumer`.

The three parts are folders of the checkout; the links beside this file make them parts of one package.
"""

from __future__ import annotations

__all__ = [
    "Announcement",
    "BrokerRefused",
    "BrokerUnavailable",
    "ConfigError",
    "Consumer",
    "EncodeError",
    "FanlightError",
    "Frame",
    "FrameExpired",
    "ListenError",
    "Producer",
    "Result",
    "Results",
    "ResultsStats",
    "SinkError",
    "StreamEnded",
    "TokenRefused",
    "WrongProcess",
    "draw_results",
    "from_supervision",
    "streams",
    "to_supervision",
]
__version__ = "0.1.0"

# Not from `typing`: until a command handles signals, it imports as little as possible.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from fanlight.common.model.announcement import Announcement
    from fanlight.common.model.errors import (
        BrokerRefused,
        BrokerUnavailable,
        ConfigError,
        EncodeError,
        FanlightError,
        FrameExpired,
        ListenError,
        SinkError,
        StreamEnded,
        TokenRefused,
        WrongProcess,
    )
    from fanlight.common.model.result import Result
    from fanlight.consumer.consumer import Consumer
    from fanlight.consumer.directory import streams
    from fanlight.consumer.drawing import draw_results
    from fanlight.consumer.frame import Frame
    from fanlight.consumer.results import Results, ResultsStats
    from fanlight.consumer.supervision import from_supervision, to_supervision
    from fanlight.producer.producer import Producer
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # Imported when asked for: a consumer needs no encoder, and `--help` no codec.
        if name == "Producer":
            from fanlight import producer as part
        elif name in ("Consumer", "Frame"):
            from fanlight import consumer as part
        elif name == "streams":
            from fanlight.consumer import directory as part
        elif name in ("Results", "ResultsStats"):
            from fanlight.consumer import results as part
        elif name in ("from_supervision", "to_supervision"):
            from fanlight.consumer import supervision as part
        elif name == "draw_results":
            from fanlight.consumer import drawing as part
        elif name == "Result":
            from fanlight.common.model import result as part
        elif name == "Announcement":
            from fanlight.common.model import announcement as part
        else:
            from fanlight.common.model import errors as part
        return getattr(part, name)


def __dir__() -> list[str]:
    return __all__
