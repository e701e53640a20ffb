"""Finds or starts a broker, and stops it again: what `scripts/broker` and `scripts/demo` share."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from fanlight.common.model.address import DEFAULT_URL, BrokerAddress, TcpAddress, parse_url
from fanlight.common.model.credentials import Credentials
from fanlight.common.model.errors import FanlightError
from fanlight.common.runtime.credential_files import CredentialFiles, credentials_of
from fanlight.common.runtime.options import options_of
from scripts.lib import amqp_login, broker_docker, broker_private
from scripts.lib.instance import Instance, Record
from scripts.private_node import NodeError

GIVEN: Final = "FANLIGHT_URL"
NOTHING: Final = Credentials()
Show = Callable[[str], None]


class Way(Protocol):
    """One way of having a broker; the modules broker_docker and broker_private are such."""

    NAME: str

    def missing(self) -> str | None: ...
    def up(self, instance: Instance, show: Show) -> Record: ...
    def down(self, instance: Instance) -> None: ...
    def describe(self, instance: Instance) -> str: ...


WAYS: Final[dict[str, Way]] = {way.NAME: way for way in (broker_docker, broker_private)}


@dataclass(frozen=True, slots=True)
class Found:
    """Where the broker is, and whether this very call started it."""

    url: str = field(repr=False)
    started: bool


def up(instance: Instance, show: Show, only: str | None = None) -> Found:
    """Find or start a broker that accepts our user. Starting twice is starting once.

    Args:
        show: shows one line of progress.
        only: the one way to be tried; FANLIGHT_URL is not asked then.

    Raises:
        FanlightError: no broker was found or started; the message says what to do.
    """
    given = None if only else os.environ.get(GIVEN)
    if given:
        require_answer(given, credentials_of())
        show(f"using {GIVEN}, {shown(given)}")
        return Found(given, started=False)
    with instance.exclusive():
        record = instance.read()
        if record is not None:
            if only in {None, record.way} and answers(record.url):
                show(f"already up: {shown(record.url)}")
                return Found(record.url, started=False)
            if answers(record.url):
                raise FanlightError(f"instance {instance.name} is up by way of {record.way}: down first")
            show("the broker that was up does not answer any more: starting anew")
            _stop(instance, record)
        return Found(_start(instance, show, only).url, started=True)


def down(instance: Instance) -> Record | None:
    """Stop what `up` started; None if there was nothing."""
    with instance.exclusive():
        record = instance.read()
        if record is not None:
            _stop(instance, record)
        else:
            instance.forget()
        return record


def answers(url: str) -> bool:
    """True if there is a broker, or at least a listener, at the URL."""
    try:
        require_answer(url)
    except FanlightError:
        return False
    return True


def require_answer(url: str, credentials: Credentials = NOTHING) -> None:
    """Log in where that is possible without TLS; otherwise be content with an open port.

    Args:
        credentials: added to the URL.

    Raises:
        ConfigError: the URL is not one of a broker, or not to be used with this.
        FanlightError: no host of the URL accepted the login; has the reason of the last one.
    """
    address = credentials.address(url, GIVEN)
    if isinstance(address, TcpAddress):
        return  # a design without a broker: the producer listens, later
    reason = ""
    for host, port in address.hosts:
        try:
            _try_host(address, host, port)
        except OSError as error:
            reason = str(error)
        else:
            return
    raise FanlightError(f"{address} cannot be used: {reason}")


def environment(found: Found, of_caller: Mapping[str, str]) -> dict[str, str]:
    """For programs that are to use the broker: the URL by a variable, which the process list does not show.

    Credentials that the caller has set for another broker are left out.
    """
    kept = dict(of_caller)
    if of_caller.get(GIVEN) != found.url:
        for option in options_of(CredentialFiles):
            kept.pop(option.variable, None)
    return kept | {GIVEN: found.url}


def started_by_others(url: str = DEFAULT_URL) -> str | None:
    """A sentence about a broker at the default address that `up` did not start; None if there is none."""
    address = parse_url(url, GIVEN)
    if not isinstance(address, BrokerAddress):
        return None
    ((host, port),) = address.hosts
    try:
        amqp_login.login(host, port, address.user, address.password, address.vhost)
    except amqp_login.Refused as error:
        return (
            f"a broker that was started otherwise answers at {host}:{port}, but refuses {address} "
            f"({error}): set {GIVEN} to use it"
        )
    except amqp_login.NotReady:
        return None
    return (
        f"a broker that was started otherwise answers at {address}: producer and consumer use it "
        f"where {GIVEN} is not set"
    )


def shown(url: str) -> str:
    """The URL without its password."""
    return str(parse_url(url, GIVEN))


def _try_host(address: BrokerAddress, host: str, port: int) -> None:
    if address.tls:
        with socket.create_connection((host, port), timeout=5.0):
            return
    amqp_login.login(host, port, address.user, address.password, address.vhost)


def _start(instance: Instance, show: Show, only: str | None) -> Record:
    others = started_by_others()
    if others is not None:
        show(f"{others}; starting another one")
    problems = []
    for way in WAYS.values():
        if only not in {None, way.NAME}:
            continue
        problem = way.missing()
        if problem is None:
            try:
                return way.up(instance, show)
            except FanlightError as error:
                problem = error.reason if isinstance(error, NodeError) else str(error)
                show(problem)
                _stop(instance, instance.read())
            except BaseException:
                _stop(instance, instance.read())
                raise
        problems.append(problem)
    raise FanlightError(
        f"no broker can be started: {'; '.join(problems)}. Start Docker, or install rabbitmq-server, "
        f"or set {GIVEN} to a broker that runs"
    )


def _stop(instance: Instance, record: Record | None) -> None:
    if record is not None and record.way in WAYS:
        with suppress(FileNotFoundError):  # docker was uninstalled: nothing of it can be running
            WAYS[record.way].down(instance)
    instance.forget()
