"""The doctor's look at a broker: what a producer or consumer does there, once, on its own small objects.

Everything that is declared is exclusive or deleted at the end. Nothing reaches anybody: the messages go to
a routing key, or an exchange, to which no queue is bound, and the broker drops them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from functools import partial
from statistics import median
from typing import Any, Final

from pika import BasicProperties, BlockingConnection, ConnectionParameters, PlainCredentials
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker, ConnectionBlockedTimeout

from common.address import BrokerAddress
from common.clock import monotonic_ns
from common.doctor.finding import Check, Finding, note, ok, problem
from common.errors import FanlightError
from common.fanout.broker.pika_internals import server_properties
from common.fanout.broker.refusals import explain
from common.fanout.broker.tls import Tls
from common.fanout.broker.topology import (
    CONTROL_EXCHANGE,
    TRANSIENT,
    consumer_queue,
    control_queue,
    exchange,
    freshness_arguments,
)
from common.frame import APP_ID, MAX_BODY_BYTES, PROBE_CONTENT_TYPE

_CONNECT_S: Final = 3.0
# A broker with an alarm says so as soon as something is published, and then reads no more.
_BLOCKED_S: Final = 1.5
_LIMIT_S: Final = 12.0
_TRIPS: Final = 5
_OLDEST: Final = (3, 10)
_NEW_RULES: Final = (4, 3)
_FORBIDDEN, _NOT_FOUND, _TOO_LARGE = 403, 404, 406
_MIB: Final = 1024 * 1024
_LIMIT_ADVICE: Final = "set max_message_size = 16777216 in rabbitmq.conf"


class Role(StrEnum):
    """What a user of the broker is to be allowed."""

    PRODUCER = "producer"
    CONSUMER = "consumer"


def broker_checks(
    address: BrokerAddress, *, role: Role, stream: str, name: str, message_bytes: int = _MIB
) -> list[Check]:
    """One check of each host, and one of what the role does.

    Args:
        message_bytes: size of the largest message that is expected; that large a one is sent once.
    """
    look = _Examination(address, role, stream, name)
    return [
        *(
            Check(f"broker {host}:{port}", _CONNECT_S + 2, partial(_host, address, host, port))
            for host, port in address.hosts
        ),
        Check(f"{role} at broker", _LIMIT_S, partial(look.run, message_bytes)),
    ]


def _connect(address: BrokerAddress, host: str, port: int) -> BlockingConnection:
    """Raises a FanlightError that says why not."""
    parameters = ConnectionParameters(
        host=host,
        port=port,
        virtual_host=address.vhost,
        credentials=PlainCredentials(address.user, address.password),
        socket_timeout=_CONNECT_S,
        stack_timeout=_CONNECT_S,
        blocked_connection_timeout=_BLOCKED_S,
        connection_attempts=1,
        client_properties={"connection_name": "fanlight doctor", "product": "Fanlight"},
        ssl_options=Tls(address).options(host) if address.tls else None,
    )
    try:
        return BlockingConnection(parameters)
    except (AMQPError, OSError) as error:
        raise explain(error, address) from None


def _close(connection: BlockingConnection) -> None:
    with suppress(AMQPError, OSError):
        if connection.is_open:
            connection.close()


def _host(address: BrokerAddress, host: str, port: int) -> Iterator[Finding]:
    check = f"broker {host}:{port}"
    try:
        connection = _connect(address, host, port)
    except FanlightError as error:
        yield problem(check, str(error), "scripts/broker starts one; else look at --url and at its log")
        return
    try:
        said = server_properties(connection)
        yield version_finding(check, _text(said.get("product")), _text(said.get("version")), address)
    finally:
        _close(connection)


def version_finding(check: str, product: str, version: str, address: BrokerAddress) -> Finding:
    """What to think of a broker's version."""
    text = f"{product} {version}, logged in as {address.user}, vhost {address.vhost}"
    found = re.match(r"(\d+)\.(\d+)", version)
    known = (int(found[1]), int(found[2])) if found is not None else None
    if product != "RabbitMQ" or known is None:
        return note(check, text, "Fanlight is tested with RabbitMQ 3.10 and 4.0")
    if known < _OLDEST:
        return problem(check, text, "upgrade it: Fanlight needs RabbitMQ 3.10 or newer")
    if known >= _NEW_RULES:
        return note(
            check, text, "4.3 and newer refuse some older features; Fanlight is tested with 3.10 and 4.0"
        )
    return ok(check, text)


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


class _Examination:
    """Goes through what a role does, at the first host that answers. Each step is a finding."""

    def __init__(self, address: BrokerAddress, role: Role, stream: str, name: str) -> None:
        self._address = address
        self._role = role
        self._stream = stream
        self._name = name
        self._probe = f"doctor-{secrets.token_hex(4)}"
        self._connection: Any = None

    def run(self, message_bytes: int) -> Iterator[Finding]:
        for host, port in self._address.hosts:
            with suppress(FanlightError):
                self._connection = _connect(self._address, host, port)
                break
        else:
            yield problem("permissions", "not looked at: no broker answers", "see above")
            return
        try:
            yield from self._look(message_bytes)
        finally:
            _close(self._connection)

    def _look(self, message_bytes: int) -> Iterator[Finding]:
        try:
            yield self._round_trip()
            yield self._as_producer() if self._role is Role.PRODUCER else self._as_consumer()
            yield self._size(message_bytes)
        except ConnectionBlockedTimeout:
            yield problem(
                "alarms",
                "the broker is blocked: it is short of memory or disk, and takes nothing from anybody",
                "rabbitmq-diagnostics alarms; free some, or set vm_memory_high_watermark, disk_free_limit",
            )
        except ChannelClosedByBroker as error:
            yield self._refused(error)
        except (AMQPError, OSError) as error:
            yield problem("permissions", str(explain(error, self._address)))
        else:
            yield ok("alarms", "none: the broker takes messages")

    def _refused(self, error: ChannelClosedByBroker) -> Finding:
        if error.reply_code != _FORBIDDEN:
            return problem("permissions", str(explain(error, self._address)))
        user = self._address.user
        advice = f"rabbitmqctl set_permissions -p {self._address.vhost} {user} ... (docs/security.md)"
        text = f"{user} may not do what a {self._role} does: {error.reply_text}"
        return problem("permissions", text, advice)

    def _round_trip(self) -> Finding:
        channel = self._with_control()
        self._publish(channel, CONTROL_EXCHANGE, b"")
        trips_s = []
        for _ in range(_TRIPS):
            began_ns = monotonic_ns()
            channel.exchange_declare(CONTROL_EXCHANGE, passive=True)
            trips_s.append((monotonic_ns() - began_ns) / 1e9)
        return ok("round trip", f"{median(trips_s) * 1000:.1f} ms to the broker and back")

    def _with_control(self) -> BlockingChannel:
        """A channel of a broker that has the control exchange."""
        if self._exists(CONTROL_EXCHANGE):
            return self._channel()
        # As the first producer or consumer of a new broker would: it is there for good.
        channel = self._channel()
        channel.exchange_declare(CONTROL_EXCHANGE, "direct", durable=True)
        return channel

    def _as_producer(self) -> Finding:
        channel, probe, suffix = self._channel(), exchange(self._probe), secrets.token_hex(3)
        channel.exchange_declare(probe, "fanout")
        try:
            self._publish(channel, probe, b"")
            queue = control_queue(self._probe, suffix)
            self._hear(channel, queue, CONTROL_EXCHANGE, self._probe, {"x-max-length": 1})
        finally:
            if channel.is_open:
                channel.exchange_delete(probe)
        return ok("permissions", f"{self._address.user} may publish, and hear consumers")

    def _as_consumer(self) -> Finding:
        there = self._exists(exchange(self._stream))
        probe = exchange(self._stream if there else self._probe)
        queue = consumer_queue(self._stream if there else self._probe, self._name, secrets.token_hex(3))
        channel = self._channel()
        if not there:
            try:
                channel.exchange_declare(probe, "fanout", auto_delete=True)
            except ChannelClosedByBroker as error:
                if error.reply_code != _FORBIDDEN:
                    raise
                # A viewer may not declare what a producer does.
                return note(
                    "permissions",
                    f"not all could be looked at: there is no exchange {exchange(self._stream)} yet",
                    "start the producer, and ask again",
                )
        self._publish(channel, CONTROL_EXCHANGE, b"")
        self._hear(channel, queue, probe, "", freshness_arguments(0.5))
        return ok(
            "permissions", f"{self._address.user} may watch stream {self._stream}, and ask for keyframes"
        )

    def _exists(self, name: str) -> bool:
        try:
            self._channel().exchange_declare(name, passive=True)
        except ChannelClosedByBroker as error:
            if error.reply_code != _NOT_FOUND:
                raise
            return False
        return True

    def _hear(
        self, channel: BlockingChannel, queue: str, source: str, key: str, arguments: dict[str, Any]
    ) -> None:
        """Declare, bind and consume, and undo it all."""
        channel.queue_declare(queue, exclusive=True, auto_delete=True, arguments=arguments)
        channel.queue_bind(queue, source, key)
        tag = channel.basic_consume(queue, _ignore, exclusive=True)
        channel.queue_unbind(queue, source, key)
        channel.basic_cancel(tag)

    def _size(self, message_bytes: int) -> Finding:
        channel = self._channel()
        shown = f"{message_bytes / _MIB:.1f} MiB"
        began_ns = monotonic_ns()
        try:
            self._publish(channel, CONTROL_EXCHANGE, bytes(message_bytes))
            channel.exchange_declare(CONTROL_EXCHANGE, passive=True)
        except ChannelClosedByBroker as error:
            if error.reply_code != _TOO_LARGE:
                raise
            return problem("message size", f"{shown} is too large: {error.reply_text}", _LIMIT_ADVICE)
        took_ms = (monotonic_ns() - began_ns) / 1e6
        text = f"a message of {shown} is taken, in {took_ms:.0f} ms"
        if message_bytes > MAX_BODY_BYTES:
            return note("message size", f"{text}, but frames end at {MAX_BODY_BYTES / _MIB:.0f} MiB")
        return ok("message size", text)

    def _publish(self, channel: BlockingChannel, to: str, body: bytes) -> None:
        """To nobody: no queue is bound with this key, or to this exchange."""
        properties = BasicProperties(
            content_type=PROBE_CONTENT_TYPE,
            app_id=APP_ID,
            delivery_mode=TRANSIENT,
            user_id=self._address.user,
        )
        channel.basic_publish(to, self._probe, body, properties)

    def _channel(self) -> BlockingChannel:
        """A new one: the broker closes one on which it has refused something."""
        channel: BlockingChannel = self._connection.channel()
        return channel


def _ignore(*_delivery: object) -> None:
    pass
