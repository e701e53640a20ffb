"""imagezmq in its PUB/SUB mode, with JPEG as its documentation advises for networks.

    python -m scripts.measure.peers.imagezmq_pubsub publish PORT CLIP
    python -m scripts.measure.peers.imagezmq_pubsub every|newest PORT TRACE

`every` is its example pub_sub_receive.py; `newest` its fast_pub_sub_receiver: a thread receives and keeps
only the newest frame, which is what its documentation offers to receivers that cannot keep up.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import imagezmq as untyped

from scripts.measure.peers.footage import decode, jpegs
from scripts.measure.peers.trace_file import TraceFile

imagezmq: Any = untyped


def _publish(port: str, clip: str) -> None:
    import numpy as np

    sender = imagezmq.ImageSender(connect_to=f"tcp://127.0.0.1:{port}", REQ_REP=False)
    for seq, capture_ns, body in jpegs(clip):
        sender.send_jpg(f"{seq} {capture_ns}", np.frombuffer(body, np.uint8))


def _show(trace: TraceFile, message: str, body: Any, received_ns: int) -> None:
    decode(body)
    seq, capture_ns = message.split()
    trace.presented(int(seq), int(capture_ns), received_ns)


def _every(hub: Any, trace: TraceFile) -> None:
    while True:
        message, body = hub.recv_jpg()
        _show(trace, message, body, time.time_ns())


def _newest(hub: Any, trace: TraceFile) -> None:
    newest: list[Any] = [None]
    arrived = threading.Event()

    def receive() -> None:
        while True:
            newest[0] = (*hub.recv_jpg(), time.time_ns())
            arrived.set()

    threading.Thread(target=receive, daemon=True).start()
    while True:
        arrived.wait()
        arrived.clear()
        message, body, received_ns = newest[0]
        _show(trace, message, body, received_ns)


def main(way: str, port: str, path: str) -> None:
    """Run one side until it is interrupted."""
    if way == "publish":
        _publish(port, path)
        return
    hub = imagezmq.ImageHub(open_port=f"tcp://127.0.0.1:{port}", REQ_REP=False)
    (_newest if way == "newest" else _every)(hub, TraceFile(path))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(0)
