"""One live camera, many processes: `from fanlight import Producer, Consumer`.

The three parts are folders of the checkout; the links beside this file make them parts of one package.
"""

from __future__ import annotations

__all__ = [
    "Announcement",
    "BrokerRefused",
    "BrokerUnavailable",
    "Codec",
    "ConfigError",
    "Consumer",
    "ConsumerStats",
    "DecodeError",
    "EncodeError",
    "FanlightError",
    "Frame",
    "FrameExpired",
    "FrameHeader",
    "ListenError",
    "Ordered",
    "OrderedStats",
    "Pairs",
    "Producer",
    "ProducerStats",
    "Result",
    "ResultCounts",
    "Results",
    "ResultsStats",
    "SharingError",
    "SinkError",
    "SourceError",
    "StreamEnded",
    "TokenRefused",
    "VideoCapture",
    "WireFormatError",
    "WrongProcess",
    "draw_results",
    "from_supervision",
    "ordered",
    "pairs",
    "streams",
    "to_supervision",
]
__version__ = "0.1.0"

# Not from `typing`: until a command handles signals, it imports as little as possible.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from fanlight import aio as aio
    from fanlight.common.model.announcement import Announcement
    from fanlight.common.model.errors import (
        BrokerRefused,
        BrokerUnavailable,
        ConfigError,
        DecodeError,
        EncodeError,
        FanlightError,
        FrameExpired,
        ListenError,
        SharingError,
        SinkError,
        SourceError,
        StreamEnded,
        TokenRefused,
        WireFormatError,
        WrongProcess,
    )
    from fanlight.common.model.frame import Codec, FrameHeader
    from fanlight.common.model.result import Result
    from fanlight.consumer.consumer import Consumer
    from fanlight.consumer.directory import streams
    from fanlight.consumer.drawing import draw_results
    from fanlight.consumer.frame import Frame
    from fanlight.consumer.ordered import Ordered, OrderedStats, ordered
    from fanlight.consumer.pairs import Pairs, pairs
    from fanlight.consumer.results import Results, ResultsStats
    from fanlight.consumer.stats import ConsumerStats, ResultCounts
    from fanlight.consumer.supervision import from_supervision, to_supervision
    from fanlight.consumer.video_capture import VideoCapture
    from fanlight.producer.producer import Producer
    from fanlight.producer.stats import ProducerStats
else:
    # Imported when asked for: a consumer needs no encoder, and `--help` no codec. All others are errors.
    _MODULES = {
        "Announcement": "common.model.announcement",
        "Codec": "common.model.frame",
        "Consumer": "consumer.consumer",
        "ConsumerStats": "consumer.stats",
        "Frame": "consumer.frame",
        "FrameHeader": "common.model.frame",
        "Ordered": "consumer.ordered",
        "OrderedStats": "consumer.ordered",
        "Pairs": "consumer.pairs",
        "Producer": "producer.producer",
        "ProducerStats": "producer.stats",
        "Result": "common.model.result",
        "ResultCounts": "consumer.stats",
        "Results": "consumer.results",
        "ResultsStats": "consumer.results",
        "VideoCapture": "consumer.video_capture",
        "draw_results": "consumer.drawing",
        "from_supervision": "consumer.supervision",
        "ordered": "consumer.ordered",
        "pairs": "consumer.pairs",
        "streams": "consumer.directory",
        "to_supervision": "consumer.supervision",
    }

    def __getattr__(name: str) -> object:
        if name not in __all__ and name != "aio":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        if name == "aio":
            return import_module(f"{__name__}.aio")
        part = import_module(f"{__name__}.{_MODULES.get(name, 'common.model.errors')}")
        found = globals()[name] = getattr(part, name)
        return found


def __dir__() -> list[str]:
    return __all__
