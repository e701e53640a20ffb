"""Maps pika's exceptions, whose `str` is often empty or a tuple, to errors with one sentence each."""

from __future__ import annotations

import errno
import re
import shlex
import socket
import ssl
from typing import Final

from pika import exceptions
from pika.adapters.utils.connection_workflow import (
    AMQPConnectionWorkflowFailed,
    AMQPConnectorException,
    AMQPConnectorStackTimeout,
)

from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.errors import BrokerRefused, BrokerUnavailable, FanlightError
from fanlight.common.model.reasons import reason
from fanlight.common.transport import liveness
from fanlight.common.transport.amqp import tls
from fanlight.common.transport.amqp.permissions import Role, grant

_FORBIDDEN = 403
# Of channel 0: a broker's answer to the greeting (AMQP 0-9-1, 4.2.3).
_METHOD_FRAME: Final = b"\x01\0\0"

# The `repr` of `ConnectionClosedByBroker`.
_CLOSED: Final = re.compile(r"""ConnectionClosedByBroker: \((\d+)\) ["'](.*)["']$""", re.DOTALL)
# What only a detector does.
_DETECTORS: Final = re.compile(
    r"(configure|write) access to exchange '[^']*\.results'|read access to exchange '[^']*\.intra'"
    r"|access to queue 'fanlight\.[^']*\.pool\."
)
# Refusals that may be over the next time: limits of connections, channels or queues, of a user or a vhost.
_PASSES: Final = re.compile(r"limit.* reached|vhost '[^']*' is down")

# Queues that members of another version, or with other settings, have declared.
_OTHER_POOL: Final = re.compile(
    r"inequivalent arg '(.+?)' for queue 'fanlight\.([\w-]+)\.pool\.([\w-]+)' in vhost .*"
    r"received '?(.+?)'? but current is '?(.+?)'?(?: \(406\))?$"
)

_HUNG_UP: Final = (
    "what answers there hangs up at once: a proxy or container whose broker is not up yet, or a port that "
    "is not the broker's (usually {port})"
)
_SILENT: Final = (
    "the broker does not answer in time: it hangs, or is slow, or its port is another (usually {port})"
)
# The other ports of RabbitMQ (docs/networking): what listens there waits for another protocol in silence.
_OTHER_PORTS: Final = {
    1883: "MQTT",
    4369: "the Erlang port mapper",
    5552: "streams",
    8883: "MQTT",
    15671: "the console",
    15672: "the console",
    15692: "its metrics",
    25672: "other nodes",
    61613: "STOMP",
}


def explain(error: BaseException, address: BrokerAddress, unread: bytes = b"") -> FanlightError:
    """What went wrong with a connection or channel, and what to do about it.

    Args:
        unread: the bytes that were received and could not be parsed.

    Returns:
        BrokerRefused where trying again with the same settings will not help, else BrokerUnavailable.
    """
    cause = _as_closed(_root(error))
    # If pika had wrapped it, it would be an attempt to connect.
    lost = isinstance(error, TimeoutError) and error.errno == errno.ETIMEDOUT
    text = "the network is silent: nothing is acknowledged" if lost else _reply_text(cause)
    tls_error = tls.meaning(" ".join(str(argument) for argument in cause.args)) if address.tls else None
    if tls_error is not None:
        return BrokerRefused(f"{address}: {tls_error}")
    if not address.tls and tls.speaks_tls(unread):
        return BrokerRefused(
            f"{address}: what answers there speaks TLS: write amqps://, or use the port without it "
            "(usually 5672)"
        )
    if _PASSES.search(text):
        return BrokerUnavailable(f"{address}: the broker refused: {text}")
    if "ACCESS_REFUSED - Login" in text:
        return BrokerRefused(
            f"{address}: the broker refused the user name or password of {address.user!r}: check --url"
        )
    if "vhost" in text and "not found" in text:
        return BrokerRefused(
            f"{address}: vhost {address.vhost!r} does not exist on the broker: check --url or add it "
            f"(rabbitmqctl add_vhost {shlex.quote(address.vhost)}; then {grant(address, None)})"
        )
    if "NOT_ALLOWED - access to vhost" in text:
        return BrokerRefused(
            f"{address}: user {address.user!r} may not use vhost {address.vhost!r}: check the "
            f"end of --url, which is '/' where nothing is given, or grant it: {grant(address, None)}"
        )
    if isinstance(cause, exceptions.ChannelClosedByBroker) and cause.reply_code in (_FORBIDDEN, 406, 530):
        other = _OTHER_POOL.search(text)
        if other is not None:
            return BrokerRefused(
                f"{address}: the members of pool {other[3]!r} of stream {other[2]!r} have another "
                f"{other[1]} ({other[5]}, here {other[4]}): give all the same --max-age and version, or "
                "use another --pool"
            )
        if cause.reply_code != _FORBIDDEN:
            return BrokerRefused(f"{address}: the broker refused: {text}")
        role: Role | None = "consumer" if "'amq.gen-" in text else None
        if _DETECTORS.search(text):
            role = "detector"
        return BrokerRefused(f"{address}: the broker refused: {text}: {grant(address, role)}")
    missing = re.match(r"NOT_FOUND - no exchange '(.+?)' in vhost", text)
    if missing is not None:
        owner = "a detector" if missing[1].endswith(".results") else "its producer"
        return BrokerUnavailable(
            f"{address}: there is no exchange {missing[1]!r} yet: waiting for {owner} to declare it"
        )
    if isinstance(cause, exceptions.IncompatibleProtocolError) and address.tls:
        # The broker's TLS alert is lost if it resets the connection; the next attempt most likely gets it.
        return BrokerUnavailable(
            f"{address}: the broker hung up after the TLS handshake: does it take our client certificate?"
        )
    if isinstance(cause, exceptions.IncompatibleProtocolError):
        return BrokerUnavailable(f"{address}: {_foreign(unread) if unread else _silent(address, _HUNG_UP)}")
    # In time for the network, TLS or the greeting of AMQP (pika: by its own `close`).
    if isinstance(cause, (AMQPConnectorStackTimeout, exceptions.ConnectionOpenAborted)):
        foreign = unread and not unread.startswith(_METHOD_FRAME)
        return BrokerUnavailable(f"{address}: {_foreign(unread) if foreign else _silent(address, _SILENT)}")
    # Wrapped by pika: it is an attempt to connect. Without TLS this would be an IncompatibleProtocolError.
    if cause is not error and isinstance(cause, (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)):
        return BrokerUnavailable(f"{address}: {_silent(address, _HUNG_UP)}")
    return BrokerUnavailable(f"{address}: {text}")


def _silent(address: BrokerAddress, otherwise: str) -> str:
    """What listens there says nothing."""
    own = 5671 if address.tls else 5672
    other = _OTHER_PORTS.get(address.hosts[0][1])
    if other is not None:
        return f"this is RabbitMQ's port for {other}: the one for its clients is usually {own}"
    return otherwise.format(port=own)


def _foreign(unread: bytes) -> str:
    """What answers the greeting of AMQP with these bytes."""
    if unread.startswith((b"HTTP/", b"<!DOCTYPE", b"<html")):
        return (
            "what answers there speaks HTTP: it is the broker's console (usually 15672; the broker itself "
            "is at 5672), or a web server or proxy"
        )
    if unread.startswith(b"AMQP"):
        return "what answers there speaks another version of AMQP: allowed is 0-9-1, which RabbitMQ speaks"
    first = unread[:20].decode("ascii", "replace").split("\r")[0]
    return f"what answers there does not speak AMQP 0-9-1: it says {first!r}"


def answered(error: BaseException) -> bool:
    """Whether the broker itself closed the connection or channel, saying why."""
    cause = _as_closed(_root(error))
    return isinstance(cause, (exceptions.ConnectionClosedByBroker, exceptions.ChannelClosedByBroker))


def network_is_out(error: BaseException) -> bool:
    """Whether packets do not arrive; see `common.transport.liveness`."""
    return liveness.network_is_out(_root(error))


def _root(error: BaseException) -> BaseException:
    """The innermost exception: pika wraps a refused TCP connection three times."""
    while True:
        inner: BaseException | None = None
        if isinstance(error, AMQPConnectionWorkflowFailed) and error.exceptions:
            inner = error.exceptions[-1]
        elif isinstance(error, AMQPConnectorException):
            inner = getattr(error, "exception", None)
        elif isinstance(error, exceptions.AMQPConnectionError) and error.args:
            inner = error.args[0] if isinstance(error.args[0], BaseException) else None
        if inner is None:
            return error
        error = inner


def _as_closed(error: BaseException) -> BaseException:
    """What pika found before it guessed: it takes every end during the login for a wrong password."""
    if not isinstance(
        error, (exceptions.ProbableAuthenticationError, exceptions.ProbableAccessDeniedError)
    ):
        return error
    closed = _CLOSED.match(str(error.args[0]) if error.args else "")
    return exceptions.ConnectionClosedByBroker(int(closed[1]), closed[2]) if closed else error


def _reply_text(error: BaseException) -> str:
    if isinstance(error, (exceptions.ConnectionClosed, exceptions.ChannelClosed)):
        return f"{error.reply_text} ({error.reply_code})"
    if isinstance(error, (exceptions.ProbableAuthenticationError, exceptions.ProbableAccessDeniedError)):
        return "the connection was cut during the login"
    if isinstance(error, socket.gaierror):
        return "no such host: check --url"
    if isinstance(error, ConnectionRefusedError):
        return "nothing answers (connection refused): is the broker running?"
    if isinstance(error, exceptions.AMQPHeartbeatTimeout):
        return "the broker fell silent (no heartbeat)"
    if isinstance(error, (exceptions.StreamLostError, ConnectionError)):
        return "the connection was lost"
    if isinstance(error, TimeoutError):
        return "nothing answers in time: is the network up?"
    if isinstance(error, OSError):
        return reason(error)
    return " ".join(str(argument) for argument in error.args) or type(error).__name__
