"""The floor of a viewer that the broker wakes: public pika, one thread, 16 bytes a frame.

python -m scripts.measure.peers.bare_pika publish URL
python -m scripts.measure.peers.bare_pika consume URL TRACE
"""

from __future__ import annotations

import mmap
import struct
import sys
import time
from typing import Any, Final

import numpy as np
import pika

from scripts.measure.peers.trace_file import TraceFile

_EXCHANGE: Final = "bare"
_FPS: Final = 30
_REFERENCE: Final = struct.Struct("=QQ")
_SHAPE: Final = (720, 1280, 3)
_ACK_EVERY: Final = 4


def _publish(channel: Any) -> None:
    seq, due_s = 0, time.monotonic()
    while True:
        channel.basic_publish(_EXCHANGE, "", _REFERENCE.pack(seq, time.time_ns()))
        seq, due_s = seq + 1, due_s + 1 / _FPS
        channel.connection.sleep(max(0.0, due_s - time.monotonic()))


def _consume(channel: Any, trace: TraceFile) -> None:
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, _EXCHANGE)
    channel.basic_qos(prefetch_count=2 * _ACK_EVERY)
    size = _SHAPE[0] * _SHAPE[1] * _SHAPE[2]
    memory = mmap.mmap(-1, size)

    def received(channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        received_ns = time.time_ns()
        seq, capture_ns = _REFERENCE.unpack(body)
        np.frombuffer(memory, np.uint8, size).reshape(_SHAPE)  # what a viewer would look at
        trace.presented(seq, capture_ns, received_ns)
        if not seq % _ACK_EVERY:
            channel.basic_ack(method.delivery_tag, multiple=True)

    channel.basic_consume(queue, received)
    channel.start_consuming()


def main(way: str, url: str, path: str = "") -> None:
    """Run one side until it is interrupted."""
    channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
    channel.exchange_declare(_EXCHANGE, "fanout")
    if way == "publish":
        _publish(channel)
    else:
        _consume(channel, TraceFile(path))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(0)
