"""The doctor's checks of a broker: at each host log in, and do once what a producer or consumer does.

Its queues are exclusive and its exchange is deleted; what it publishes has a key to which nothing is bound.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from socket import create_connection
from typing import Final

from pika import BasicProperties, BlockingConnection, ConnectionParameters, PlainCredentials
from pika.adapters.blocking_connection import BlockingChannel
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import (
    AMQPError,
    ChannelClosedByBroker,
    ConnectionBlockedTimeout,
    IncompatibleProtocolError,
)

from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.finding import Check, Finding, note, ok, problem
from fanlight.common.model.frame import APP_ID, PROBE_CONTENT_TYPE
from fanlight.common.transport.amqp.error_mapping import explain
from fanlight.common.transport.amqp.permissions import Role, grant
from fanlight.common.transport.amqp.tls import Tls
from fanlight.common.transport.amqp.topology import (
    CONTROL_EXCHANGE,
    SERVER_NAMED,
    STREAMS_EXCHANGE,
    TRANSIENT,
    control_queue,
    exchange,
    freshness_arguments,
    new_suffix,
)

_CONNECT_S: Final = 3.0
# A broker with an alarm sends connection.blocked as soon as something is published, and stops reading.
_BLOCKED_S: Final = 1.5
_GREETING: Final = b"AMQP\x00\x00\x09\x01\r\n\r\n"
_FORBIDDEN, _NOT_FOUND = 403, 404


def broker_checks(address: BrokerAddress, role: Role, stream: str) -> dict[str, Check]:
    """One for each host."""
    return {
        f"{role} at {host}:{port}": partial(_at_host, address, host, port, role, stream)
        for host, port in address.hosts
    }


def _at_host(address: BrokerAddress, host: str, port: int, role: Role, stream: str) -> Finding:
    try:
        with BlockingConnection(_parameters(address, host, port)) as connection:
            check = _Permissions(connection.channel(), address.user)
            (check.producer if role == "producer" else check.consumer)(stream)
            if role == "producer" and not check.may_announce(connection.channel()):
                return note(
                    f"{address.user} may publish, but not announce its streams: no list will show them",
                    f"{grant(address, role)} (docs/security.md)",
                )
    except ConnectionBlockedTimeout:
        return problem(
            "the broker is blocked: it is short of memory or disk, and accepts no message",
            "rabbitmq-diagnostics alarms; free some, or set vm_memory_high_watermark, disk_free_limit",
        )
    except ChannelClosedByBroker as error:
        if error.reply_code == _NOT_FOUND:
            return note(f"not all could be tried: {error.reply_text}", "start the producer, and ask again")
        if error.reply_code != _FORBIDDEN:
            raise explain(error, address) from None
        return problem(
            f"{address.user} may not do what a {role} does: {error.reply_text}",
            f"{grant(address, role)} (docs/security.md)",
        )
    except (IncompatibleProtocolError, AMQPConnectorException) as error:
        here = replace(address, hosts=((host, port),))
        raise explain(error, here, b"" if address.tls else _answer(host, port)) from None
    except (AMQPError, OSError) as error:
        raise explain(error, address) from None
    return ok(f"{address.user} may do what a {role} of stream {stream} does; the broker has no alarm")


def _answer(host: str, port: int) -> bytes:
    """The first bytes that come in answer to AMQP's greeting, which pika does not tell.

    An HTTP server waits in silence for the end of a request.
    """
    with suppress(OSError), create_connection((host, port), _CONNECT_S) as sock:
        sock.sendall(_GREETING)
        return sock.recv(64)
    return b""


class _Permissions:
    """Does once what each role does. The broker closes the channel over what is forbidden."""

    def __init__(self, channel: BlockingChannel, user: str) -> None:
        self._channel = channel
        self._properties = BasicProperties(
            content_type=PROBE_CONTENT_TYPE, app_id=APP_ID, delivery_mode=TRANSIENT, user_id=user
        )

    def producer(self, stream: str) -> None:
        name = f"{stream[:40]}-doctor-{new_suffix()}"
        self._channel.exchange_declare(exchange(name), "fanout", auto_delete=True)
        self._publish(exchange(name))
        self._channel.exchange_delete(exchange(name))
        self._channel.exchange_declare(CONTROL_EXCHANGE, "direct", durable=True)
        self._consume(control_queue(name, new_suffix()), CONTROL_EXCHANGE, name)

    def may_announce(self, channel: BlockingChannel) -> bool:
        """False if that is forbidden. A producer declares the exchange if it is missing."""
        try:
            channel.basic_publish(STREAMS_EXCHANGE, "", b"", self._properties)
            channel.exchange_declare(CONTROL_EXCHANGE, passive=True)  # its answer comes after a refusal
        except ChannelClosedByBroker as error:
            return int(error.reply_code) != _FORBIDDEN
        return True

    def consumer(self, stream: str) -> None:
        self._publish(CONTROL_EXCHANGE)
        queue = self._consume(SERVER_NAMED, exchange(stream), arguments=freshness_arguments(0.5))
        self._channel.queue_unbind(queue, exchange(stream))

    def _publish(self, to: str) -> None:
        self._channel.basic_publish(to, f"doctor-{new_suffix()}", b"", self._properties)

    def _consume(
        self, queue: str, source: str, key: str = "", arguments: dict[str, object] | None = None
    ) -> str:
        declared = self._channel.queue_declare(queue, exclusive=True, auto_delete=True, arguments=arguments)
        name = str(declared.method.queue)
        self._channel.queue_bind(name, source, key)
        self._channel.basic_consume(name, lambda *_delivery: None, exclusive=True)
        return name


def _parameters(address: BrokerAddress, host: str, port: int) -> ConnectionParameters:
    return ConnectionParameters(
        host=host,
        port=port,
        virtual_host=address.vhost,
        credentials=PlainCredentials(address.user, address.password),
        heartbeat=4,  # a broker that hangs is given up after twice as long
        socket_timeout=address.times.connect_s or _CONNECT_S,
        stack_timeout=address.times.connect_s or _CONNECT_S,
        blocked_connection_timeout=_BLOCKED_S,
        connection_attempts=1,
        client_properties={"connection_name": "fanlight doctor", "product": "Fanlight"},
        ssl_options=Tls(address).options(host) if address.tls else None,
    )
