"""Publishes frames that were encoded before, at a steady rate: fan-out is all that is left of a producer.

Runs on any Python from 3.11 on, free-threaded or not, without further packages.

    python -m scripts.measure.feed tcp+threads://127.0.0.1:7000 FRAMES 30
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from itertools import count
from pathlib import Path

from fanlight.common import transport
from fanlight.common.model.frame import EncodedFrame
from fanlight.common.transport.tcp.wire import MessageReader, read_frame

_WAIT_S = 0.2


def main(url: str, path: str, fps: float) -> None:
    """Publish until interrupted."""
    frames = [read_frame(one) for one in MessageReader().feed(memoryview(Path(path).read_bytes()))]
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    publisher = transport.publisher(
        url, stream="cam", max_age_s=0.5, events=transport.PublisherEvents(), max_clients=1000
    )
    publisher.start()
    began_s = time.monotonic()
    for seq in count():
        if stopping.wait(max(0.0, began_s + seq / fps - time.monotonic())):
            break
        frame = frames[seq % len(frames)]
        header = frame.header._replace(seq=seq, capture_ns=time.time_ns())
        if publisher.wait_ready(_WAIT_S):
            publisher.publish(EncodedFrame(header, frame.body))
    publisher.stop(1.0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
