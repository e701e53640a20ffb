"""What is compared: each design is the commands of its producer and of its consumers, and how to read them.

Every design plays the same clip and turns every frame into BGR; the settings are those that its own
documentation recommends for live video, or better.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fanlight.common.codec.h264 import X264_OPTIONS

_GOP: Final = 30
_RENDERED: Final = re.compile(r"rendered: (\d+)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one run finds its broker, its port and its files."""

    url: str
    port: int
    clip: Path
    folder: Path

    def tcp(self, design: str) -> str:
        """Where a producer without a broker listens."""
        return f"tcp+{design}://127.0.0.1:{self.port}"

    def trace(self, consumer: int) -> Path:
        return self.folder / f"trace-{consumer}.csv"


@dataclass(frozen=True, slots=True)
class Design:
    """One way to bring the clip to N consumers.

    Attributes:
        settings: named in the report, so that a reader can judge whether they are fair.
        uses_broker: the broker's processes count.
        traced: consumers write traces; else only counts of frames are known, from their output.
        producer_first: consumers cannot connect before the producer listens.
        hub: a process that decodes for all consumers; they are started when it shares.
    """

    name: str
    settings: str
    producer: Callable[[Place], Sequence[str]]
    consumer: Callable[[Place, int], Sequence[str]]
    uses_broker: bool = False
    traced: bool = True
    producer_first: bool = False
    hub: Callable[[Place], Sequence[str]] | None = None


def fanlight(
    name: str,
    *,
    codec: str = "h264",
    fps: int = 30,
    via: str = "broker",
    tcp: str | None = None,
    producing: Sequence[str] = (),
    playout: Sequence[str] = (),
    extra: Callable[[int], Sequence[str]] = lambda _consumer: (),
    start: Callable[[int], Sequence[str]] = lambda _consumer: ("-m", "consumer"),
    checkout: Path | None = None,
) -> Design:
    """Ours: over RabbitMQ, with a hub if `via="host"`, or by the design `tcp` without a broker. `producing`
    are flags of the producer; `extra` and `start` give single consumers other flags or another entry;
    `checkout` is that of another commit, to be compared with.
    """

    def python(*arguments: str) -> list[str]:
        command = [sys.executable, *arguments]
        return command if checkout is None else ["env", "-C", str(checkout), *command]

    def url(place: Place) -> str:
        return place.url if tcp is None else place.tcp(tcp)

    def producer(place: Place) -> list[str]:
        source = ["--source", str(place.clip), "--fps", str(fps)]
        return python("-m", "producer", "--url", url(place), "--codec", codec, *source, *producing)

    def consumer(place: Place, number: int) -> list[str]:
        sinks = ["--sink", "null", "--sink", f"trace:{place.trace(number)}"]
        flags = ["--url", url(place), "--name", f"c{number}", "--via", via]
        flags += [*sinks, *playout, *extra(number)]
        return python(*start(number), *flags)

    def hub(place: Place) -> list[str]:
        sharing = ["--url", url(place), "--name", "hub", "--sink", "share"]
        return python("-m", "consumer", *sharing)

    way = f"tcp+{tcp}" if tcp is not None else f"via {via}, prefetch and queue limits by default"
    shown = " ".join(["codec", codec, way, *playout])
    return Design(
        name, shown, producer, consumer, uses_broker=tcp is None, hub=hub if via == "host" else None
    )


def tutorial(name: str = "tutorial") -> Design:
    """The way that RabbitMQ's tutorials and most blog posts show."""
    peer = "scripts.measure.peers.tutorial"
    return Design(
        name,
        "pika BlockingConnection, fanout exchange, auto-ack, JPEG 80 by OpenCV",
        lambda place: [sys.executable, "-m", peer, "publish", place.url, str(place.clip)],
        lambda place, n: [sys.executable, "-m", peer, "consume", place.url, str(place.trace(n))],
        uses_broker=True,
    )


def bare_pika(name: str = "bare pika") -> Design:
    """The least that a viewer costs that the broker wakes."""
    peer = "scripts.measure.peers.bare_pika"
    return Design(
        name,
        "pika BlockingConnection, messages of 16 bytes, prefetch 8, nothing decoded, a zero-copy view",
        lambda place: [sys.executable, "-m", peer, "publish", place.url],
        lambda place, n: [sys.executable, "-m", peer, "consume", place.url, str(place.trace(n))],
        uses_broker=True,
    )


def imagezmq(name: str, *, newest: bool) -> Design:
    """Imagezmq PUB/SUB: `pub_sub_receive.py` of its examples, or with its receiving thread."""
    peer = "scripts.measure.peers.imagezmq_pubsub"
    way = "newest" if newest else "every"
    how = "a thread receives and keeps the newest" if newest else "each frame in turn"
    return Design(
        name,
        f"PUB/SUB over tcp, JPEG 80 by OpenCV, {how}",
        lambda place: [sys.executable, "-m", peer, "publish", str(place.port), str(place.clip)],
        lambda place, n: [sys.executable, "-m", peer, way, str(place.port), str(place.trace(n))],
    )


def gstreamer(name: str = "gstreamer") -> Design:
    """All C: x264 over TCP to decoders to BGR, with the very x264 options that ours has."""
    x264, preset, tune = (X264_OPTIONS[name] for name in ("x264-params", "preset", "tune"))

    def producer(place: Place) -> list[str]:
        # sync=true on the encoder's input: frames leave at the clip's own rate, not in bursts.
        return _pipeline(
            f"filesrc location={place.clip} ! qtdemux ! h264parse ! avdec_h264 max-threads=1 ! clocksync ! "
            f"x264enc tune={tune} speed-preset={preset} pass=qual quantizer=23 "
            f"key-int-max={_GOP} threads=1 sliced-threads=false option-string={x264} ! "
            "video/x-h264,stream-format=byte-stream,alignment=au ! "
            f"tcpserversink host=127.0.0.1 port={place.port} "
            "recover-policy=keyframe sync-method=next-keyframe"
        )

    def consumer(place: Place, _number: int) -> list[str]:
        return _pipeline(
            f"tcpclientsrc host=127.0.0.1 port={place.port} ! h264parse ! avdec_h264 max-threads=1 ! "
            "videoconvert n-threads=1 ! video/x-raw,format=BGR ! "
            "fpsdisplaysink text-overlay=false sync=false fps-update-interval=500 video-sink=fakesink",
            "-v",
        )

    return Design(
        name,
        f"x264enc {preset} {tune} {x264} CRF 23, tcpserversink; avdec_h264, "
        "videoconvert to BGR, fakesink sync=false; one thread each",
        producer,
        consumer,
        traced=False,
        producer_first=True,
    )


def rendered(output: str) -> int:
    """Frames that a `gst-launch-1.0 -v` with an fpsdisplaysink has shown so far."""
    counts = _RENDERED.findall(output)
    return int(counts[-1]) if counts else 0


def _pipeline(text: str, *flags: str) -> list[str]:
    return ["gst-launch-1.0", *flags, *text.split()]
