from __future__ import annotations

import pytest

from fanlight.consumer.wall.hosts import HostRules, own_names, same_origin


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8080", "LOCALHOST.", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080", "[::1]"],
)
def test_loopback_names_and_addresses_are_always_allowed(host: str) -> None:
    assert HostRules(beyond=False).allows(host)
    assert HostRules(beyond=True).allows(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8080",
        "192.0.2.7",
        "[2001:db8::1]:80",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "localhost:8080:1",
        "localhost/",
        "localhost ",
        "localhost\n",
        "::1",
        "[::1",
        "[::ffff:192.0.2.7]",
        "lo\u0441alhost",
        "0.0.0.0",  # noqa: S104
        "a" * 300,
    ],
)
def test_on_the_loopback_everything_else_is_refused(host: str) -> None:
    assert not HostRules(beyond=False).allows(host)


@pytest.mark.parametrize("host", ["192.0.2.7:8080", "[2001:db8::1]", "wall.lan", "Wall.LAN.:9000", "wall"])
def test_beyond_it_addresses_and_own_names_are_allowed(host: str) -> None:
    assert HostRules(beyond=True, names=("wall.lan", "wall")).allows(host)


@pytest.mark.parametrize("host", ["evil.example", "wall.lan.evil.example", "xwall.lan", "lan"])
def test_beyond_it_other_names_are_refused(host: str) -> None:
    assert not HostRules(beyond=True, names=("wall.lan", "wall")).allows(host)


def test_a_name_may_be_added_on_the_loopback_for_a_proxy() -> None:
    rules = HostRules(beyond=False, names=("Wall.Example",))
    assert rules.allows("wall.example")
    assert not rules.allows("192.0.2.7")


def test_a_machine_has_its_name_in_full_short_and_local() -> None:
    assert own_names("wall.lan") == ("wall.lan", "wall", "wall.local")


@pytest.mark.parametrize(
    ("origin", "host", "tls"),
    [
        ("http://localhost:8080", "localhost:8080", False),
        ("http://LOCALHOST:8080", "localhost:8080", False),
        ("http://[::1]:8080", "[::1]:8080", False),
        ("http://wall.lan", "wall.lan", False),
        ("http://wall.lan", "wall.lan:80", False),
        ("https://wall.lan", "wall.lan", False),  # behind a proxy with TLS
        ("https://wall.lan", "wall.lan:443", True),
        ("https://wall.lan:8443", "wall.lan:8443", True),
    ],
)
def test_the_page_itself_is_of_the_same_origin(origin: str, host: str, tls: bool) -> None:
    assert same_origin(origin, host, tls=tls)


@pytest.mark.parametrize(
    ("origin", "host", "tls"),
    [
        ("null", "localhost:8080", False),
        ("", "localhost:8080", False),
        ("http://evil.example", "localhost:8080", False),
        ("http://localhost:8081", "localhost:8080", False),
        ("http://localhost", "localhost:8080", False),
        ("http://127.0.0.1:8080", "localhost:8080", False),
        ("http://localhost:8080.evil.example", "localhost:8080", False),
        ("http://localhost:8080/", "localhost:8080", False),
        ("http://wall.lan:8443", "wall.lan:8443", True),  # a page that somebody may have changed on its way
        ("file://localhost:8080", "localhost:8080", False),
        ("chrome-extension://localhost:8080", "localhost:8080", False),
    ],
)
def test_every_other_page_is_not(origin: str, host: str, tls: bool) -> None:
    assert not same_origin(origin, host, tls=tls)
