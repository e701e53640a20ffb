"""Header tables that no client library writes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import pika


@dataclass(frozen=True)
class Raw:
    """A header value that is written as these bytes, the type octet in front."""

    octets: bytes


class RawProperties(pika.BasicProperties):
    """Message properties whose `Raw` headers are written as they are.

    pika has no such value: it writes text of the same size, which is then replaced.
    """

    def __init__(self, headers: dict[str, Any] | None, **more: Any) -> None:
        self._raw = {
            name: value.octets for name, value in (headers or {}).items() if isinstance(value, Raw)
        }
        text = {name: " " * (len(octets) - 5) for name, octets in self._raw.items()}
        super().__init__(headers=None if headers is None else headers | text, **more)  # type: ignore[no-untyped-call]

    def encode(self) -> list[bytes]:
        encoded = b"".join(super().encode())  # type: ignore[no-untyped-call]
        for name, octets in self._raw.items():
            key, size = name.encode(), len(octets) - 5
            text = key + struct.pack(">cI", b"S", size) + b" " * size
            assert text in encoded
            encoded = encoded.replace(text, key + octets)
        return [encoded]
