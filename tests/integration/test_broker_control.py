"""What is sent to the producer's control listener, by consumers and by others."""

from __future__ import annotations

import base64
import json
import logging
import os
import time
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from fanlight.common.transport.amqp.reply_address import TRIAL_INTERVAL_NS
from tests.integration.test_foreign_messages import HOSTILE, MIB, broker_scene
from tests.support.raw_headers import Raw, RawProperties
from tests.support.roles import channel_of
from tests.support.timing import wait_until


def control_body(**changes: object) -> bytes:
    return json.dumps({"v": 1, "stream": "s", "name": "c1", "reason": "join"} | changes).encode()


GARBAGE = {
    "nothing": (None, b""),
    "no JSON": ("keyframe_request", b"\xff\xfe{"),
    "no object": ("keyframe_request", b"[]"),
    "another version": ("keyframe_request", control_body(v=2)),
    "unknown type": ("teapot", control_body()),
    "unknown reason": ("keyframe_request", control_body(reason="boredom")),
    "deeply nested": ("keyframe_request", b"[" * 4000),
    "too long": ("keyframe_request", control_body() + b" " * 5000),
    "15 MiB": ("receiver_report", b"[" * (15 * MIB)),
    "report without figures": ("receiver_report", control_body()),
}


@pytest.mark.parametrize("headers", [None, HOSTILE["timestamp 2^63"]], ids=["plain", "hostile-table"])
def test_garbage_on_the_control_exchange_is_ignored(
    stream: str, broker_url: str, headers: Raw | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "fanlight.common.transport.amqp.link")
    # JPEG: the consumer asks for no keyframe, whatever a loaded machine loses.
    with broker_scene(stream, broker_url, "jpeg") as (out, on), channel_of(broker_url) as channel:
        channel.confirm_delivery()
        table = None if headers is None else {"x": headers}
        # The producer listens from now on, and has read the consumer's own request.
        wait_until(lambda: out.stats().consumers == ("c1",), 20, "the producer hears its consumer")
        before = out.stats().keyframe_requests
        for kind, body in GARBAGE.values():
            properties = RawProperties(table, type=kind)
            channel.basic_publish("fanlight.control", stream, body, properties)
        genuine = pika.BasicProperties(type="keyframe_request", app_id="fanlight")
        # Control messages are read in order, so when this one has arrived the others have, too.
        channel.basic_publish("fanlight.control", stream, control_body(stream=stream), genuine)
        wait_until(lambda: out.stats().keyframe_requests > before, 20, "the request is counted")
        assert out.stats().keyframe_requests == before + 1
        assert out.failure is None
        on.goes_on()
    assert not attempts_of_the_listener(caplog)


def attempts_of_the_listener(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Log lines of a control connection that was lost."""
    return [line for line in caplog.messages if "control: " in line and "attempt" in line]


HOSTILE_REPLIES = (
    b"\xff\xfe",
    "amq.rabbitmq.reply-to.",
    "amq.rabbitmq.reply-to.no.such",
    "amq.rabbitmq.reply-to.g1h2AAAAAAAA.AAAA",
    "amq.rabbitmq.reply-to." + "x" * 200,
    "amq.rabbitmq.reply-to." + "x" * 200 + ".AAAA",
    "amq.rabbitmq.reply-to.AAAA.AAAA",
    "amq.rabbitmq.reply-to.g1h2AA9yZXBseUA.AAAA",
    "fanlight.control.nobody",
    "",
)


def test_a_hostile_reply_address_does_not_cut_the_listener(
    stream: str, broker_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "fanlight.common.transport.amqp.link")
    asks = control_body(stream=stream, asked_ns=1)
    replies: list[bytes] = []
    addresses: list[str] = []

    def ask(channel: BlockingChannel, reply_to: Any) -> None:
        properties = pika.BasicProperties(type="clock_request", reply_to=reply_to)
        channel.basic_publish("fanlight.control", stream, asks, properties)

    with broker_scene(stream, broker_url) as (out, on), channel_of(broker_url) as channel:
        wait_until(lambda: out.stats().consumers == ("c1",), 20, "the producer hears its consumer")
        channel.basic_consume(
            "amq.rabbitmq.reply-to", lambda _c, _m, _p, body: replies.append(body), auto_ack=True
        )
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, "fanlight.control", stream)
        channel.basic_consume(
            queue, lambda _c, _m, properties, _b: addresses.append(properties.reply_to), auto_ack=True
        )

        def answered() -> bool:
            ask(channel, "amq.rabbitmq.reply-to")
            channel.connection.process_data_events(0.1)
            return bool(replies and addresses)

        wait_until(answered, 20, "an honest question is answered")
        began_ns = time.monotonic_ns()
        own = hostile_variants(addresses[-1])
        for address in HOSTILE_REPLIES + own:
            ask(channel, address)
            replies.clear()
            wait_until(answered, 20, "an honest question is answered")
        on.goes_on()
        lost = [line for line in caplog.messages if "replies: " in line and "attempt" in line]
    # A node that was made up may be one of a cluster: one is tried, and another after a while.
    assert len(lost) <= 1 + (time.monotonic_ns() - began_ns) // TRIAL_INTERVAL_NS
    assert not attempts_of_the_listener(caplog)


def hostile_variants(address: str) -> tuple[str, ...]:
    """Addresses that differ from a good one: by one bit of each octet, without its end, with more of it."""
    start, process, key = address.rsplit(".", 2)
    octets = base64.b64decode(process)
    changed = [octets[:at] + bytes([octets[at] ^ 0x40]) + octets[at + 1 :] for at in range(len(octets))]
    changed += [octets[:-3], octets + b"abc", b"\x83d\x00\x01a", octets[:5]]
    made = [f"{start}.{base64.b64encode(other).decode()}.{key}" for other in changed]
    return (*made, f"{start}.{process}.AA==", f"{start}.{process.rstrip('=')}.{key}")


def test_two_producers_of_one_name_and_their_consumer_say_so(
    stream: str, broker_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    def said(by: str, words: str) -> int:
        lines = [record.getMessage() for record in caplog.records if record.name.endswith(by)]
        return sum(words in line for line in lines)

    words = f"another producer publishes stream {stream}, too: "
    process = f"{os.getpid()} (its host and process), as user fanlight"
    with broker_scene(stream, broker_url) as (out, _):
        wait_until(lambda: out.stats().consumers == ("c1",), 20, "it hears its control messages")
        assert said("amqp.control", words) == 0, "it is alone"
        with broker_scene(stream, broker_url):
            wait_until(lambda: said("amqp.control", words) == 2, 20, "both producers say it")
            assert said("amqp.control", process) == 2
            wait_until(lambda: said("consumer.receiver", words) >= 1, 20, "the consumers say it")
    assert "refused" not in caplog.text
