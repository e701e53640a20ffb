"""Video over RabbitMQ as tutorials show it: BlockingConnection, fanout exchange, auto-ack, JPEG by OpenCV.

python -m scripts.measure.peers.tutorial publish URL CLIP
python -m scripts.measure.peers.tutorial consume URL TRACE
"""

from __future__ import annotations

import sys
import time
from typing import Any

import pika

from scripts.measure.peers.footage import decode, jpegs
from scripts.measure.peers.trace_file import TraceFile

_EXCHANGE = "tutorial"


def _publish(channel: Any, clip: str) -> None:
    for seq, capture_ns, body in jpegs(clip):
        properties = pika.BasicProperties(headers={"seq": seq, "capture_ns": capture_ns})
        channel.basic_publish(_EXCHANGE, "", body, properties)


def _consume(channel: Any, trace: TraceFile) -> None:
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, _EXCHANGE)

    def received(_channel: Any, _method: Any, properties: Any, body: bytes) -> None:
        received_ns = time.time_ns()
        decode(body)
        trace.presented(properties.headers["seq"], properties.headers["capture_ns"], received_ns)

    channel.basic_consume(queue, received, auto_ack=True)
    channel.start_consuming()


def main(way: str, url: str, path: str) -> None:
    """Run one side until it is interrupted."""
    channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
    channel.exchange_declare(_EXCHANGE, "fanout")
    if way == "publish":
        _publish(channel, path)
    else:
        _consume(channel, TraceFile(path))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(0)
