"""The doctor's checks of a broker: at each host log in, and do once what a producer or consumer does.

Its queues are exclusive and its exchange is deleted; what it publishes has a key to which nothing is bound.
"""

from __future__ import annotations

from functools import partial
from typing import Final, Literal

from pika import BasicProperties, BlockingConnection, ConnectionParameters, PlainCredentials
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker, ConnectionBlockedTimeout

from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.finding import Check, Finding, note, ok, problem
from fanlight.common.model.frame import APP_ID, PROBE_CONTENT_TYPE
from fanlight.common.transport.amqp.error_mapping import explain
from fanlight.common.transport.amqp.tls import Tls
from fanlight.common.transport.amqp.topology import (
    CONTROL_EXCHANGE,
    TRANSIENT,
    consumer_queue,
    control_queue,
    exchange,
    freshness_arguments,
    new_suffix,
)

_CONNECT_S: Final = 3.0
# A broker with an alarm says so as soon as something is published, and then reads no more.
_BLOCKED_S: Final = 1.5
_FORBIDDEN, _NOT_FOUND = 403, 404

Role = Literal["producer", "consumer"]


def broker_checks(address: BrokerAddress, role: Role, stream: str) -> dict[str, Check]:
    """One for each host."""
    return {
        f"{role} at {host}:{port}": partial(_at_host, address, host, port, role, stream)
        for host, port in address.hosts
    }


def _at_host(address: BrokerAddress, host: str, port: int, role: Role, stream: str) -> Finding:
    act = _as_producer if role == "producer" else _as_consumer
    try:
        with BlockingConnection(_parameters(address, host, port)) as connection:
            act(connection.channel(), address.user, stream)
    except ConnectionBlockedTimeout:
        return problem(
            "the broker is blocked: it is short of memory or disk, and takes nothing from anybody",
            "rabbitmq-diagnostics alarms; free some, or set vm_memory_high_watermark, disk_free_limit",
        )
    except ChannelClosedByBroker as error:
        if error.reply_code == _NOT_FOUND:
            return note(f"not all could be tried: {error.reply_text}", "start the producer, and ask again")
        if error.reply_code != _FORBIDDEN:
            raise explain(error, address) from None
        return problem(
            f"{address.user} may not do what a {role} does: {error.reply_text}",
            f"rabbitmqctl set_permissions -p {address.vhost} {address.user} ... (docs/security.md)",
        )
    except (AMQPError, OSError) as error:
        raise explain(error, address) from None
    return ok(f"{address.user} may do what a {role} of stream {stream} does; the broker has no alarm")


def _as_producer(channel: BlockingChannel, user: str, stream: str) -> None:
    name = f"{stream[:40]}-doctor-{new_suffix()}"
    queue = control_queue(name, new_suffix())
    channel.exchange_declare(exchange(name), "fanout", auto_delete=True)
    _publish(channel, exchange(name), user)
    channel.exchange_delete(exchange(name))
    channel.exchange_declare(CONTROL_EXCHANGE, "direct", durable=True)
    channel.queue_declare(queue, exclusive=True, auto_delete=True)
    channel.queue_bind(queue, CONTROL_EXCHANGE, name)
    channel.basic_consume(queue, lambda *_delivery: None, exclusive=True)


def _as_consumer(channel: BlockingChannel, user: str, stream: str) -> None:
    queue = consumer_queue(stream, "doctor", new_suffix())
    _publish(channel, CONTROL_EXCHANGE, user)
    channel.queue_declare(queue, exclusive=True, auto_delete=True, arguments=freshness_arguments(0.5))
    channel.queue_bind(queue, exchange(stream))
    channel.queue_unbind(queue, exchange(stream))
    channel.basic_consume(queue, lambda *_delivery: None, exclusive=True)


def _publish(channel: BlockingChannel, to: str, user: str) -> None:
    properties = BasicProperties(
        content_type=PROBE_CONTENT_TYPE, app_id=APP_ID, delivery_mode=TRANSIENT, user_id=user
    )
    channel.basic_publish(to, f"doctor-{new_suffix()}", b"", properties)


def _parameters(address: BrokerAddress, host: str, port: int) -> ConnectionParameters:
    return ConnectionParameters(
        host=host,
        port=port,
        virtual_host=address.vhost,
        credentials=PlainCredentials(address.user, address.password),
        heartbeat=4,  # a broker that hangs is given up after twice as long
        socket_timeout=_CONNECT_S,
        stack_timeout=_CONNECT_S,
        blocked_connection_timeout=_BLOCKED_S,
        connection_attempts=1,
        client_properties={"connection_name": "fanlight doctor", "product": "Fanlight"},
        ssl_options=Tls(address).options(host) if address.tls else None,
    )
