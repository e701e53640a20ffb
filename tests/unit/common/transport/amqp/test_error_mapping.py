from __future__ import annotations

import errno
import socket
import ssl

import pytest
from pika import exceptions
from pika.adapters.utils.connection_workflow import (
    AMQPConnectionWorkflowFailed,
    AMQPConnectorSocketConnectError,
    AMQPConnectorStackTimeout,
)

from fanlight.common.model.errors import BrokerRefused, BrokerUnavailable
from fanlight.common.transport.amqp.error_mapping import explain, network_is_out
from tests.support.addresses import broker_address

ADDRESS = broker_address("amqp://ann:secret@broker:5673/video")
LOGIN = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN"
LOST = "StreamLostError: ('Transport indicated EOF',)"
NOT_ALLOWED = "NOT_ALLOWED - access to vhost 'video'"
LIMIT = "connection limit (1) is reached"


def during_login(code: int, text: str) -> Exception:
    """As pika reports what the broker says before the login is complete."""
    return exceptions.ProbableAuthenticationError(repr(exceptions.ConnectionClosedByBroker(code, text)))


def opening_vhost(code: int, text: str) -> Exception:
    """Likewise, after it."""
    return exceptions.ProbableAccessDeniedError(repr(exceptions.ConnectionClosedByBroker(code, text)))


CHANNELS = "number of channels opened for user 'ann' has reached the maximum allowed user limit of (9)"
QUEUES = "cannot declare queue 'amq.gen-x': queue limit in vhost 'video' (500) is reached"
CONNECTIONS = "NOT_ALLOWED - connection refused for user 'ann': user connection limit (4) is reached"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (during_login(403, LOGIN), "user name or password of 'ann': check --url"),
        (exceptions.ConnectionClosedByBroker(403, LOGIN), "user name or password of 'ann'"),
        (
            exceptions.ConnectionClosedByBroker(530, "NOT_ALLOWED - vhost video not found"),
            r"vhost 'video' does not exist .*add_vhost video; then rabbitmqctl set_perm",
        ),
        (
            opening_vhost(530, "NOT_ALLOWED - access to vhost 'video' refused for user 'ann'"),
            "may not use vhost 'video'.*set_permissions",
        ),
        (opening_vhost(530, "NOT_ALLOWED - vhost video not found"), "vhost 'video' does not exist"),
        (
            exceptions.ConnectionClosedByBroker(530, "NOT_ALLOWED - access to vhost 'video' refused"),
            "user 'ann' may not use vhost 'video'",
        ),
        (
            exceptions.ChannelClosedByBroker(
                406,
                "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue "
                "'fanlight.cam.pool.faces' in vhost 'video': received '300' but current is '500'",
            ),
            r"members of pool 'faces' of stream 'cam' have another x-message-ttl \(500, here 300\): ",
        ),
        (
            exceptions.ChannelClosedByBroker(
                403, "ACCESS_REFUSED - access to queue 'fanlight.cam.pool.x' in vhost 'video' refused"
            ),
            r"the broker refused: .*: rabbitmqctl set_permissions -p video ann '.*pool",
        ),
        (
            exceptions.ChannelClosedByBroker(403, "ACCESS_REFUSED - queue"),
            r"refused: ACCESS.*\(403\): rabbitmqctl set_permissions -p video ann '\^\(fanlight",
        ),
        (
            exceptions.ChannelClosedByBroker(403, "ACCESS_REFUSED - access to queue 'amq.gen-x'"),
            r"rabbitmqctl set_permissions -p video ann '\^amq",
        ),
        (
            exceptions.ChannelClosedByBroker(406, "PRECONDITION_FAILED"),
            "broker refused: PRECONDITION_FAILED",
        ),
    ],
)
def test_what_trying_again_will_not_help(error: BaseException, says: str) -> None:
    explained = explain(error, ADDRESS)
    assert isinstance(explained, BrokerRefused)
    assert explained.args[0].startswith("amqp://ann@broker:5673/video: ")
    with pytest.raises(BrokerRefused, match=says):
        raise explained


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "is the broker running"),
        (socket.gaierror(-2, "Name or service not known"), "no such host: check --url"),
        (exceptions.AMQPHeartbeatTimeout("x"), "the broker fell silent"),
        (exceptions.ConnectionClosedByBroker(530, f"NOT_ALLOWED - {CHANNELS}"), "number of channels"),
        (exceptions.ChannelClosedByBroker(406, "PRECONDITION_FAILED - " + QUEUES), "queue limit"),
        (during_login(530, CONNECTIONS), "connection limit"),
        (exceptions.StreamLostError("x"), "the connection was lost"),
        (exceptions.IncompatibleProtocolError("x"), r"hangs up at once: a proxy .*usually 5672"),
        (exceptions.ConnectionClosedByBroker(320, "CONNECTION_FORCED"), r"CONNECTION_FORCED \(320\)"),
        (
            exceptions.ChannelClosedByBroker(404, "NOT_FOUND - no exchange"),
            r"NOT_FOUND - no exchange \(404\)",
        ),
        (OSError(113, "No route to host"), "No route to host"),
        (TimeoutError(), "nothing answers in time"),
        (OSError(errno.ETIMEDOUT, "Connection timed out"), "the network is silent"),
        (
            AMQPConnectorSocketConnectError(OSError(errno.ETIMEDOUT, "Connection timed out")),
            "nothing answers in time",
        ),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "the connection was lost"),
        (exceptions.AMQPConnectionError(), "AMQPConnectionError"),
        (exceptions.ProbableAuthenticationError(LOST), "the connection was cut during the login"),
        (exceptions.ProbableAccessDeniedError(LOST), "the connection was cut during the login"),
        (opening_vhost(320, "CONNECTION_FORCED - shutdown"), r"CONNECTION_FORCED - shutdown \(320\)"),
        (opening_vhost(530, f"{NOT_ALLOWED} refused for user 'ann': {LIMIT}"), "connection limit"),
        (opening_vhost(530, f"{NOT_ALLOWED} refused for user 'ann': vhost 'video' is down"), "is down"),
        (exceptions.AMQPConnectionError("a", 1), "a 1"),
    ],
)
def test_what_may_be_better_next_time(error: BaseException, says: str) -> None:
    explained = explain(error, ADDRESS)
    assert isinstance(explained, BrokerUnavailable)
    with pytest.raises(BrokerUnavailable, match=says):
        raise explained


CLOSED_IN_TIME = exceptions.ConnectionOpenAborted("Connection.close() called")
TLS = broker_address("amqps://ann:secret@broker/video")
EXPIRED = (
    "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1006)"
)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ssl.SSLCertVerificationError(1, EXPIRED), "has expired: renew it"),
        (
            exceptions.IncompatibleProtocolError(
                "StreamLostError: (\"... SSLError(1, '[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] x')\",)"
            ),
            "asks for a client certificate",
        ),
    ],
)
def test_tls_that_is_refused_will_not_be_better_next_time(error: BaseException, says: str) -> None:
    explained = explain(error, TLS)
    assert isinstance(explained, BrokerRefused)
    assert str(explained).startswith("amqps://ann@broker:5671/video: ")
    assert says in str(explained)


def test_tls_in_answer_to_plain_amqp_is_named() -> None:
    lost = exceptions.IncompatibleProtocolError("StreamLostError: ('reset',)")
    explained = explain(lost, ADDRESS, b"\x15\x03\x01\0\x02\x02\x0a")
    assert isinstance(explained, BrokerRefused)
    assert "what answers there speaks TLS: write amqps://" in str(explained)
    assert isinstance(explain(lost, ADDRESS, b""), BrokerUnavailable)
    hung_up = explain(lost, TLS, b"\x15\x03")
    assert isinstance(hung_up, BrokerUnavailable)
    assert "hung up after the TLS handshake: does it take our client certificate?" in str(hung_up)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "hangs up at once: a proxy or container whose broker is not up yet"),
        (b"HTTP/1.1 400 Bad Request\r\n", "speaks HTTP: it is the broker's console (usually 15672;"),
        (b"AMQP\0\1\0\0", "speaks another version of AMQP: allowed is 0-9-1"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "does not speak AMQP 0-9-1: it says 'SSH-2.0-OpenSSH_9.2p'"),
        (b"\xff\x00", "does not speak AMQP 0-9-1: it says '\ufffd\\x00'"),
    ],
)
def test_what_answers_instead_of_a_broker_is_named(answer: bytes, says: str) -> None:
    explained = explain(exceptions.IncompatibleProtocolError("StreamLostError: ('x',)"), ADDRESS, answer)
    assert isinstance(explained, BrokerUnavailable)
    assert says in str(explained)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("amqp://h:15672/v", "RabbitMQ's port for the console: the one for its clients is usually 5672"),
        ("amqps://h:15671/v", "port for the console: the one for its clients is usually 5671"),
        ("amqp://h:7000/v", "the broker does not answer in time: it hangs"),
    ],
)
def test_what_says_nothing_is_named_by_its_port(url: str, says: str) -> None:
    wrapped = exceptions.AMQPConnectionError(AMQPConnectionWorkflowFailed([AMQPConnectorStackTimeout()]))
    for error in (wrapped, CLOSED_IN_TIME):
        explained = explain(error, broker_address(url))
        assert isinstance(explained, BrokerUnavailable)
        assert says in str(explained)


def test_what_says_something_and_then_nothing_is_named() -> None:
    assert "it says '220 mail ESMTP'" in str(explain(CLOSED_IN_TIME, ADDRESS, b"220 mail ESMTP\r\n"))
    start = b"\x01\0\0\0\0\x02\0\0\n\0\n\0\t"
    assert "the broker does not answer in time" in str(explain(CLOSED_IN_TIME, ADDRESS, start))


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), ssl.SSLEOFError(8, "[SSL: EOF] x")])
def test_a_tls_handshake_that_is_hung_up_on_may_be_better_next_time(error: Exception) -> None:
    wrapped = exceptions.AMQPConnectionError(AMQPConnectionWorkflowFailed([error]))
    explained = explain(wrapped, TLS)
    assert isinstance(explained, BrokerUnavailable)
    assert "hangs up at once" in str(explained)
    assert "usually 5671" in str(explained)


def test_the_innermost_cause_is_named() -> None:
    refused = AMQPConnectorSocketConnectError(ConnectionRefusedError(111, "Connection refused"))
    wrapped = exceptions.AMQPConnectionError(AMQPConnectionWorkflowFailed([OSError("first"), refused]))
    assert "connection refused" in str(explain(wrapped, ADDRESS))


@pytest.mark.parametrize(
    ("error", "out"),
    [
        (AMQPConnectorSocketConnectError(TimeoutError("x")), True),
        (AMQPConnectorSocketConnectError(OSError(113, "No route to host")), True),
        (OSError(errno.ETIMEDOUT, "Connection timed out"), True),
        (AMQPConnectorSocketConnectError(ConnectionRefusedError(111, "Connection refused")), False),
        (exceptions.StreamLostError("x"), False),
    ],
)
def test_a_network_that_is_out_is_no_peer_that_refuses(error: BaseException, out: bool) -> None:
    wrapped = exceptions.AMQPConnectionError(AMQPConnectionWorkflowFailed([error]))
    assert network_is_out(error) is out
    assert network_is_out(wrapped) is out
