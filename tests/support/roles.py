"""Logs in to the test's broker as the users of broker/definitions.json, past our own code."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit, urlunsplit

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPConnectionError, ChannelClosedByBroker


def as_user(url: str, user: str) -> str:
    """The same broker for another user, whose development password is its name."""
    parts = urlsplit(url)
    place = f"{user}:{user}@{parts.hostname}:{parts.port}"
    try:
        pika.BlockingConnection(pika.URLParameters(urlunsplit(parts._replace(netloc=place)))).close()
    except AMQPConnectionError:
        pytest.skip(f"the broker of FANLIGHT_TEST_URL does not know {user!r}: load broker/definitions.json")
    return urlunsplit(parts._replace(netloc=place))


@contextlib.contextmanager
def channel_of(url: str) -> Iterator[BlockingChannel]:
    """A channel on a connection of its own, which may idle: nobody answers heartbeats meanwhile."""
    parameters = pika.URLParameters(url)
    parameters.heartbeat = 0
    connection = pika.BlockingConnection(parameters)
    try:
        yield connection.channel()
    finally:
        if connection.is_open:
            connection.close()


def refusal(url: str, action: Callable[[BlockingChannel], object]) -> int:
    """The reply code with which the broker closes the channel over that; 0 if it lets it pass.

    Publishing is confirmed, so that a refusal comes while it is waited for.
    """
    with channel_of(url) as channel:
        channel.confirm_delivery()
        try:
            action(channel)
        except ChannelClosedByBroker as error:
            return int(error.reply_code)
        return 0
