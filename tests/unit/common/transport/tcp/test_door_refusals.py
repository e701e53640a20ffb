"""Who does not keep to the contract: at the door, and with a door that has to go on."""

from __future__ import annotations

import time

import pytest

from fanlight.common.transport.tcp import connection_limiter, listener, wire
from fanlight.common.transport.tcp.listener import MOST_STRANGERS, Client
from fanlight.common.transport.tcp.wire import Hello, Kind
from tests.support.timing import scaled, wait_until
from tests.unit.common.transport.tcp.build import CLOCK_REQUEST, HELLO, NAME, STREAM, follow
from tests.unit.common.transport.tcp.desk import Desk, House

REQUEST = wire.control_message(CLOCK_REQUEST)


def refused(house: House, data: bytes) -> str:
    """Say this as the first thing; the answer."""
    peer = house.knock(data)
    reason = peer.refusal()
    assert peer.ended
    house.desk.expect("refused")
    assert house.inside == []
    return reason


def test_nothing_more_is_heard_from_who_was_refused(house: House) -> None:
    peer = house.knock(b"x")
    house.desk.expect("refused")
    peer.send(HELLO + REQUEST)
    peer.refusal()
    house.enter()
    assert house.desk.quiet


@pytest.mark.usefixtures("impatient")
def test_who_was_refused_and_does_not_go_is_put_out(house: House) -> None:
    peer = house.knock(b"x")
    peer.refusal()
    house.desk.expect("refused")
    wait_until(lambda: not house.door._clients, 5, "its socket is closed")


def test_of_too_many_strangers_the_oldest_goes_and_a_client_still_gets_in(house: House) -> None:
    strangers = [house.knock() for _ in range(MOST_STRANGERS)]
    peer = house.knock()
    house.desk.expect("refused")
    assert strangers[0].refusal() == f"more than {MOST_STRANGERS} connections without a hello"
    assert strangers[0].ended
    peer.send(HELLO)
    assert house.desk.admitted().visitor.name == NAME
    house.enter()
    assert house.desk.quiet, "the client is no stranger any more: there was room for one"


def test_with_no_place_left_strangers_make_room_and_clients_do_not(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "MOST_CLIENTS", 3)
    (first, _), (second, _) = house.enter(), house.enter()
    stranger = house.knock()
    third, _ = house.enter()
    assert stranger.ended
    late = house.knock(HELLO)
    assert late.refusal() == "more than 3 connections"
    assert late.ended
    house.desk.expect("refused")
    first.sock.close()
    house.desk.expect("left")
    house.enter()
    assert house.desk.quiet
    assert len(house.inside) == 3
    assert second.sock.fileno() >= 0
    assert third.sock.fileno() >= 0


def test_of_one_address_of_the_network_only_so_many_come_in(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_limiter, "MOST_PER_PEER", 2)
    monkeypatch.setattr(listener, "peer_of", lambda _address: "192.0.2.1")
    first, _ = house.enter()
    house.knock()
    assert house.knock(HELLO).refusal() == "more than 2 connections from 192.0.2.1"
    house.desk.expect("refused")
    first.sock.close()
    house.desk.expect("left")
    house.enter()
    monkeypatch.setattr(listener, "peer_of", lambda _address: "192.0.2.2")
    house.enter()
    assert house.desk.quiet


def test_a_flood_of_connections_is_let_in_by_and_by(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MOST_ARRIVALS", 5)
    began_s = time.monotonic()
    for _ in range(14):
        house.enter()
    assert time.monotonic() - began_s > 0.5, "two looks round lie between"
    assert len(house.inside) == 14


# What comes in one piece ---------------------------------------------------------------------------------


def lives_told_of(house: House) -> dict[object, list[str]]:
    """What was told of each client so far; somebody else comes in to make sure that all is told."""
    last = house.knock(wire.hello_message(Hello(STREAM, "last", follow=True)))
    lives: dict[object, list[str]] = {}
    while True:
        what, about = house.desk.told.get(timeout=scaled(5))
        client = about[0] if isinstance(about, tuple) else about
        if isinstance(client, Client):
            if client.visitor.name == "last":
                last.message()
                return lives
            lives.setdefault(client, []).append(what)


@pytest.mark.parametrize(
    "nonsense", [HELLO, wire.message(Kind.CONTROL, {"type": "other"}, b"{}")], ids=["hello", "control"]
)
def test_nobody_leaves_who_was_not_admitted(house: House, nonsense: bytes) -> None:
    """The designs know only those who were; whoever does this must not end the producer."""
    peer = house.knock(HELLO + nonsense)
    assert peer.message() is None or peer.ended
    lives = lives_told_of(house)
    assert all(life[0] == "admitted" for life in lives.values()), lives


def test_nothing_is_told_of_a_client_that_has_left() -> None:
    """A design that cannot send to it sends it away: while it is told of it, that is."""

    class Broken(Desk):
        house: House

        def on_admitted(self, client: Client, *, follow: bool) -> None:
            super().on_admitted(client, follow=follow)
            if client.visitor.name == NAME:
                self.house.door.leave(client)

        def on_follow(self, client: Client, follow: bool) -> None:
            self._note("follow", client)

    desk = Broken()
    with House(desk) as house:
        desk.house = house
        house.knock(HELLO + follow(False) + REQUEST)
        (life,) = lives_told_of(house).values()
        assert life == ["admitted", "left"]
