"""Many clients that cost next to nothing: one process that connects N times and notes when frames came.

Shows what a producer without a broker can serve, where real consumers would take all CPU for decoding.
Prints one line of JSON: frames that came, and their age when the last byte was there, in ms. Then it only
reads, until it is ended.

    python -m scripts.measure.drain tcp+threads://127.0.0.1:7000 200 10
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time

from fanlight.common.model.address import TcpAddress, parse_url
from fanlight.common.model.stats import percentile
from fanlight.common.transport.tcp.wire import Hello, MessageKind, MessageReader, hello_message, read_object

_SETTLE_S = 2.0
_READ_BYTES = 256 * 1024


def main(url: str, clients: int, span_s: float) -> None:
    """Connect, settle, measure, print."""
    address = parse_url(url)
    if not isinstance(address, TcpAddress):
        raise SystemExit("drain: allowed is tcp+threads:// or tcp+multiplex://")
    selector = selectors.DefaultSelector()
    for number in range(clients):
        sock = socket.create_connection((address.host, address.port))
        sock.sendall(hello_message(Hello("cam", f"d{number}", follow=True)))
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ, (number, MessageReader()))
    began_s = time.monotonic()
    ages_ms: list[float] = []
    came = [0] * clients
    buffer = bytearray(_READ_BYTES)
    view = memoryview(buffer)
    while (now_s := time.monotonic()) < began_s + _SETTLE_S + span_s:
        for key, _ in selector.select(0.5):
            assert isinstance(key.fileobj, socket.socket)
            count = key.fileobj.recv_into(buffer)
            if not count:
                raise SystemExit("drain: the producer ended a connection")
            number, reader = key.data
            for message in reader.feed(view[:count]):
                if message.kind is MessageKind.FRAME and now_s >= began_s + _SETTLE_S:
                    came[number] += 1
                    # Every client's every frame is counted; one in eight is dated, since JSON takes time.
                    if (came[number] + number) % 8 == 0:
                        captured_ns = read_object(message)["capture_ns"]
                        ages_ms.append((time.time_ns() - captured_ns) / 1e6)
    fps = [count / span_s for count in came]
    at = {f"age_p{round(share * 100)}_ms": percentile(ages_ms, share) for share in (0.5, 0.99)}
    print(json.dumps({"fps_worst": min(fps), "fps_best": max(fps), **at}), flush=True)
    while True:  # until it is ended: the producer may be looked at under this load
        for key, _ in selector.select(0.5):
            assert isinstance(key.fileobj, socket.socket)
            if not key.fileobj.recv_into(buffer):
                return


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
