"""Whatever a stranger sends: only `Incomplete` or `NotPlain` is ever raised."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import frame

from tests.unit.common.fanout.broker.test_deliveries import (
    CHANNEL,
    encoded,
    fresh,
    remembering,
    taken_or_refused,
    usual,
)

# Nothing else is ever raised


@pytest.mark.parametrize("remembered", [False, True], ids=["fresh", "remembering"])
def test_a_flipped_bit_never_raises_anything_else(remembered: bool) -> None:
    whole = encoded(body=b"abc", chunk=2)
    followed = whole + encoded(tag=6)  # so that what claims to be longer finds something
    for stream in (whole, followed):
        for at in range(len(whole)):
            for bit in range(8):
                flipped = bytearray(stream)
                flipped[at] ^= 1 << bit
                # Remembering anew each time: a flipped one must not spoil the next.
                taken_or_refused(remembering(whole) if remembered else fresh(), bytes(flipped))


@given(st.binary(max_size=200))
def test_random_bytes_never_raise_anything_else(stream: bytes) -> None:
    assert taken_or_refused(fresh(), stream) is None


@given(st.integers(0, len(encoded())), st.integers(0, 20), st.binary(max_size=40), st.booleans())
def test_a_delivery_with_random_bytes_in_it_never_raises_anything_else(
    at: int, gone: int, random: bytes, remembered: bool
) -> None:
    whole = encoded()
    taken_or_refused(remembering() if remembered else fresh(), whole[:at] + random + whole[at + gone :])


@given(st.binary(max_size=150), st.booleans())
def test_random_properties_never_raise_anything_else(described: bytes, remembered: bool) -> None:
    whole = encoded(body=b"")
    header_at = len(whole) - len(bytes(frame.Header(CHANNEL, 0, usual()).marshal()))
    content = whole[header_at + 7 : header_at + 7 + 14] + described  # class, weight, size and flags as ever
    header = struct.pack(">BHI", 2, CHANNEL, len(content)) + content + b"\xce"
    taken_or_refused(remembering() if remembered else fresh(), whole[:header_at] + header)
