"""Clients that break the contract, with a listener that has to go on."""

from __future__ import annotations

import time

import pytest

from fanlight.common.transport.tcp import acceptor, connection_limiter, wire
from fanlight.common.transport.tcp.listener import MOST_UNIDENTIFIED, Client
from fanlight.common.transport.tcp.wire import Hello, MessageKind
from tests.support.timing import scaled, wait_until
from tests.unit.common.transport.tcp.build import CLOCK_REQUEST, HELLO, NAME, STREAM, follow
from tests.unit.common.transport.tcp.service import Owner, Service

REQUEST = wire.control_message(CLOCK_REQUEST)


def test_nothing_more_is_read_from_a_refused_client(service: Service) -> None:
    peer = service.connect(b"x")
    service.owner.expect("refused")
    peer.send(HELLO + REQUEST)
    peer.refusal()
    service.join()
    assert service.owner.quiet


@pytest.mark.usefixtures("impatient")
def test_a_refused_client_that_stays_is_disconnected(service: Service) -> None:
    peer = service.connect(b"x")
    peer.refusal()
    service.owner.expect("refused")
    wait_until(lambda: not service.listener._clients, 20, "its socket is closed")


def test_of_too_many_unidentified_clients_the_oldest_is_refused(service: Service) -> None:
    peers = [service.connect() for _ in range(MOST_UNIDENTIFIED)]
    peer = service.connect()
    service.owner.expect("refused")
    assert peers[0].refusal() == f"more than {MOST_UNIDENTIFIED} connections without a hello"
    assert peers[0].ended
    peer.send(HELLO)
    assert service.owner.admitted().handshake.name == NAME
    service.join()
    assert service.owner.quiet, "the client is no peer any more: there was room for one"


def test_without_room_unidentified_clients_are_closed_and_others_kept(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.listener, "_max_clients", 3)
    (first, _), (second, _) = service.join(), service.join()
    peer = service.connect()
    third, _ = service.join()
    assert peer.ended
    late = service.connect(HELLO)
    assert (
        late.refusal() == "3 clients are served already, as many as allowed (--max-clients of the producer)"
    )
    assert late.ended
    service.owner.expect("refused")
    first.sock.close()
    service.owner.expect("disconnected")
    service.join()
    assert service.owner.quiet
    assert len(service.admitted_clients) == 3
    assert second.sock.fileno() >= 0
    assert third.sock.fileno() >= 0


def test_of_one_address_of_the_network_only_so_many_come_in(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_limiter, "MOST_PER_PEER", 2)
    monkeypatch.setattr(acceptor, "peer_of", lambda _address: "192.0.2.1")
    first, _ = service.join()
    service.connect()
    assert service.connect(HELLO).refusal() == "more than 2 connections from 192.0.2.1"
    service.owner.expect("refused")
    first.sock.close()
    service.owner.expect("disconnected")
    service.join()
    monkeypatch.setattr(acceptor, "peer_of", lambda _address: "192.0.2.2")
    service.join()
    assert service.owner.quiet


def test_a_flood_of_connections_is_accepted_bit_by_bit(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "MOST_ACCEPTED", 5)
    began_s = time.monotonic()
    for _ in range(14):
        service.join()
    assert time.monotonic() - began_s > 0.5, "two looks round lie between"
    assert len(service.admitted_clients) == 14


# What comes in one piece ---------------------------------------------------------------------------------


def lives_of(service: Service) -> dict[object, list[str]]:
    """The events of each client so far; another one is admitted to make sure that these are all."""
    last = service.connect(wire.hello_message(Hello(STREAM, "last", follow=True)))
    lives: dict[object, list[str]] = {}
    while True:
        what, about = service.owner.events.get(timeout=scaled(15))
        client = about[0] if isinstance(about, tuple) else about
        if isinstance(client, Client):
            if client.handshake.name == "last":
                last.message()
                return lives
            lives.setdefault(client, []).append(what)


@pytest.mark.parametrize(
    "nonsense",
    [HELLO, wire.message(MessageKind.CONTROL, {"type": "other"}, b"{}")],
    ids=["hello", "control"],
)
def test_only_admitted_clients_are_reported_as_disconnected(service: Service, nonsense: bytes) -> None:
    """The designs know only those that were admitted; nonsense must not end the producer."""
    peer = service.connect(HELLO + nonsense)
    assert peer.message() is None or peer.ended
    lives = lives_of(service)
    assert all(life[0] == "admitted" for life in lives.values()), lives


def test_nothing_is_reported_of_a_disconnected_client() -> None:
    """A design that cannot send to a client disconnects it: within the event that admits it."""

    class Broken(Owner):
        service: Service

        def on_admitted(self, client: Client, *, follow: bool) -> None:
            super().on_admitted(client, follow=follow)
            if client.handshake.name == NAME:
                self.service.listener.disconnect(client)

        def on_follow(self, client: Client, follow: bool) -> None:
            self.note("follow", client)

    owner = Broken()
    with Service(owner) as service:
        owner.service = service
        service.connect(HELLO + follow(False) + REQUEST)
        (life,) = lives_of(service).values()
        assert life == ["admitted", "disconnected"]
