"""Removes header tables from what a connection receives, for an owner that reads none.

pika parses them before anybody can check them, and raises for some that RabbitMQ forwards: any client could
cut the connection, again and again.
"""

from __future__ import annotations

import struct
from typing import Final

_METHOD, _HEADER, _BODY, _HEARTBEAT = 1, 2, 3, 8
_FRAME: Final = struct.Struct(">BHI")  # type, channel, size of the payload; one octet ends the frame
_FLAGS_AT: Final = _FRAME.size + 12  # behind class, weight and size of the body
_CONTENT_TYPE, _CONTENT_ENCODING, _HEADERS, _MORE_FLAGS = 1 << 15, 1 << 14, 1 << 13, 1


class HeaderTableFilter:
    """Of one connection."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._foreign = False

    def feed(self, data: bytes) -> bytes:
        """The complete frames among the bytes received so far, without header tables."""
        if self._foreign:
            return data
        self._received += data
        passed, at = bytearray(), 0
        while len(self._received) - at >= _FRAME.size:
            kind, _, size = _FRAME.unpack_from(self._received, at)
            if kind not in (_METHOD, _HEADER, _BODY, _HEARTBEAT):
                self._foreign = True  # not AMQP 0-9-1: pika says so
                return bytes(passed + self._received[at:])
            end = at + _FRAME.size + size + 1
            if end > len(self._received):
                break
            frame = bytes(self._received[at:end])
            passed += _without_table(frame) if kind == _HEADER else frame
            at = end
        del self._received[:at]
        return bytes(passed)


def _without_table(frame: bytes) -> bytes:
    """The frame with a message's properties; unchanged if it has no table, or is malformed."""
    try:
        (flags,) = struct.unpack_from(">H", frame, _FLAGS_AT)
        if not flags & _HEADERS or flags & _MORE_FLAGS:
            return frame
        first = begin = _FLAGS_AT + 2
        for property_before in (_CONTENT_TYPE, _CONTENT_ENCODING):
            if flags & property_before:
                begin += 1 + frame[begin]
        end = begin + 4 + struct.unpack_from(">I", frame, begin)[0]
    except (IndexError, struct.error):
        return frame
    if end >= len(frame):
        return frame
    kept = frame[_FRAME.size : _FLAGS_AT] + struct.pack(">H", flags & ~_HEADERS)
    payload = kept + frame[first:begin] + frame[end:-1]
    kind, channel, _ = _FRAME.unpack_from(frame)
    return _FRAME.pack(kind, channel, len(payload)) + payload + frame[-1:]
