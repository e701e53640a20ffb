"""Invalid and absurd JSON, which only a producer without a broker can send, is counted and skipped."""

from __future__ import annotations

import json

import pytest

from tests.integration.test_foreign_messages import GOOD, tcp_scene
from tests.support.broker import tcp_url
from tests.support.tcp_producer import frame_table
from tests.support.tcp_wire import CONTROL, FRAME, HELLO, WELCOME, control, packed
from tests.support.timing import wait_until

pytestmark = pytest.mark.brokerless


def _hostile_json(stream: str) -> dict[str, bytes]:
    table = frame_table(stream, seq=10**6)
    fps = json.dumps(table).encode().replace(b'"fps": 15', b'"fps": %s')
    return {
        "not a number": packed(FRAME, table | {"fps": float("nan")}, GOOD.body),
        "infinite": packed(FRAME, table | {"fps": float("inf")}, GOOD.body),
        "too large for a float": packed(FRAME, fps.replace(b"%s", b"1e999"), GOOD.body),
        "3000 digits": packed(FRAME, fps.replace(b"%s", b"7" * 3000), GOOD.body),
        "deeply nested": packed(FRAME, b"[" * 4096, GOOD.body),
        "objects, deeply nested": packed(FRAME, b'{"a":' * 800, GOOD.body),
        "no UTF-8": packed(FRAME, b'{"stream": "\xff\xfe"}', GOOD.body),
        "no object": packed(FRAME, [], GOOD.body),
        "nothing": packed(FRAME, b"", b""),
        "meta without a number": packed(FRAME, table | {"meta": {"a": float("nan")}}, GOOD.body),
        "meta with a key twice": packed(
            FRAME, json.dumps(table).encode()[:-1] + b',"meta":{"a":1,"a":2}}', GOOD.body
        ),
        "meta of 65 bits": packed(FRAME, table | {"meta": {"a": -(2**63) - 1}}, GOOD.body),
        "meta of half a character": packed(FRAME, table | {"meta": {"a": "\ud800"}}, GOOD.body),
        "meta, deeply nested": packed(FRAME, table | {"meta": {"a": [[[[[[[[]]]]]]]]}}, GOOD.body),
        "a content type that is no text": packed(FRAME, table | {"content_type": ["image/jpeg"]}, b"x"),
        "a second welcome": packed(WELCOME, {}),
        "a hello": packed(HELLO, {}),
        "a control message of no type": packed(CONTROL, {}),
        "a report that is nested deeply": packed(CONTROL, {"type": "clock_reply"}, b"[" * 4000),
        "a report that is too long": packed(CONTROL, {"type": "clock_reply"}, b" " * 5000),
        "a time without figures": control("clock_reply", stream),
    }


def test_hostile_json_is_counted_and_skipped(stream: str) -> None:
    with tcp_scene(stream, tcp_url("multiplex"), "jpeg") as (out, on):
        for expected, (what, message) in enumerate(_hostile_json(stream).items(), 1):
            out.send(message)
            wait_until(on.has_refused(expected), 5, what)
            assert on.consumer.stats().malformed == expected, what
        on.goes_on()


def test_clock_replies_of_other_streams_and_absurd_times_are_ignored(stream: str) -> None:
    with tcp_scene(stream, tcp_url("threads"), "jpeg") as (out, on):
        for of, asked_ns in ((stream, 2**63 - 1), (stream, -1), ("other", 0)):
            out.send(control("clock_reply", of, asked_ns=asked_ns, received_ns=2**63 - 1, replied_ns=-1))
        on.goes_on()
        assert on.consumer.stats().malformed == 0
