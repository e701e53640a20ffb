from __future__ import annotations

import base64

import pytest

from fanlight.common.transport.amqp.reply_address import ReplyNodes, reply_node

S = 1_000_000_000
NODE = b"\x83Xv\x00\x0freply@129968372"


def address(node: bytes, process: bytes = b"\x00\x00VL\x00\x00\x00\x01k\x0a\x9a9") -> str:
    return f"amq.rabbitmq.reply-to.{base64.b64encode(node + process).decode()}.1WjoDqVLzT01YXPjKsODSw=="


def test_the_node_of_an_address() -> None:
    real = "amq.rabbitmq.reply-to.g1h2AA9yZXBseUAxMjk5NjgzNzIAAFZMAAAAAWsKmjk=.1WjoDqVLzT01YXPjKsODSw=="
    assert reply_node(real) == NODE
    assert address(NODE) == real


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        b"\xff\xfe",
        "",
        "amq.rabbitmq.reply-to",
        "amq.rabbitmq.reply-to.",
        "amq.rabbitmq.reply-to.AAAA.AAAA",
        "amq.rabbitmq.reply-to.g1h2AA9yZXBseUAxMjk5NjgzNzIAAFZMAAAAAWsKmjk.AAAA",
        "fanlight.cam.reply",
        address(NODE).replace("reply-to", "reply_to"),
        address(NODE) + "\n",
        address(NODE, b"\x00\x00\x80\x00" + bytes(8)),
        address(NODE, b"\x00\x00\x00\x01\x00\x00\x20\x00" + bytes(4)),
    ],
)
def test_what_is_no_address(wrong: object) -> None:
    assert reply_node(wrong) is None
    nodes = ReplyNodes()
    nodes.proven(address(NODE))
    assert not nodes.admit(wrong, 0)


@pytest.mark.parametrize(
    ("platform", "answered"), [("Erlang/OTP 25.2.3", False), (None, False), ("Erlang/OTP 27.3", True)]
)
def test_large_process_numbers_are_for_newer_erlang(platform: str | None, answered: bool) -> None:
    nodes = ReplyNodes()
    nodes.connected(platform)
    nodes.proven(address(NODE))
    assert nodes.admit(address(NODE, b"\x00\x10" + bytes(10)), 0) is answered


def test_nobody_is_answered_before_the_connection_knows_its_own_node() -> None:
    nodes = ReplyNodes()
    assert not nodes.admit(address(NODE), 0)
    nodes.proven(address(NODE))
    assert nodes.admit(address(NODE), 0)
    nodes.lost()
    assert nodes.admit(address(NODE), 0)


def test_another_node_is_tried_seldom_and_then_known() -> None:
    nodes = ReplyNodes()
    nodes.proven(address(NODE))
    assert nodes.admit(address(b"made up"), 0)
    nodes.lost()
    assert not nodes.admit(address(b"other"), 9 * S)
    assert nodes.admit(address(b"other"), 10 * S)
    assert not nodes.admit(address(b"third"), 30 * S), "one at a time"
    assert nodes.trying, "to be found out"
    nodes.proven(address(NODE))
    assert nodes.admit(address(b"other"), 31 * S)
