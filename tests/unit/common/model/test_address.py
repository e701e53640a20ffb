from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fanlight.common.model.address import (
    DEFAULT_URL,
    SCHEMES,
    BrokerAddress,
    Design,
    TcpAddress,
    Times,
    parse_url,
)
from fanlight.common.model.errors import ConfigError
from tests.support.addresses import broker_address

UNKNOWN_SCHEME = f"allowed is {SCHEMES}"
BAD_HOST = f"allowed is {SCHEMES}, ports 1 to 65535"
SLASH = f"allowed is {SCHEMES}; write '/' and '@' in a password or vhost as %2F and %40"


PASSWORD = "p"


def address(
    *hosts: tuple[str, int], user: str = "u", password: str = PASSWORD, vhost: str = "v"
) -> BrokerAddress:
    return BrokerAddress(hosts=hosts, user=user, password=password, vhost=vhost)


def timed(
    heartbeat_s: float | None, connect_s: float | None = None, blocked_s: float | None = None, **parts: str
) -> BrokerAddress:
    return replace(address(("h", 5672), **parts), times=Times(heartbeat_s, connect_s, blocked_s))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (DEFAULT_URL, address(("localhost", 5672), user="fanlight", password="fanlight", vhost="fanlight")),
        ("amqp://u:p@h/v", address(("h", 5672))),
        ("amqp://u:p@h:1/v", address(("h", 1))),
        ("amqp://u:p@h:65535/v", address(("h", 65535))),
        ("AMQP://u:p@h/v", address(("h", 5672))),
        ("amqp://u:p@192.168.1.2:5673/v", address(("192.168.1.2", 5673))),
        ("amqp://u:p@[::1]/v", address(("::1", 5672))),
        ("amqp://u:p@[fe80::1%25eth0]:7/v", address(("fe80::1%25eth0", 7))),
        ("amqp://u:p@[2001:db8::1]:5673,h/v", address(("2001:db8::1", 5673), ("h", 5672))),
        ("amqp://u:p@a,b:2,c/v", address(("a", 5672), ("b", 2), ("c", 5672))),
        ("amqp://u:p@h/%2f", address(("h", 5672), vhost="/")),
        ("amqp://u:p@h/%2F", address(("h", 5672), vhost="/")),
        ("amqp://u:p@h/a/b", address(("h", 5672), vhost="a/b")),
        (
            "amqp://us%40er:p%3A%2F%40%25@h/v%20w",
            address(("h", 5672), user="us@er", password="p:/@%", vhost="v w"),
        ),
        ("amqp://%C3%BC:%C3%A9@h/v", address(("h", 5672), user="ü", password="é")),
        ("amqp://u:a@b:c@h/v", address(("h", 5672), password="a@b:c")),
        ("amqp://u:p?#%41@h/v", address(("h", 5672), password="p?#A")),
        ("amqp://u:100%@h/v", address(("h", 5672), password="100%")),
        ("amqp://u:@h/v", address(("h", 5672), password="")),
        # What is left out is taken from the default.
        ("amqp://h/v", address(("h", 5672), user="fanlight", password="fanlight")),
        # As for every AMQP client.
        ("amqp://u:p@h", address(("h", 5672), vhost="/")),
        ("amqp://u:p@h/", address(("h", 5672), vhost="/")),
        ("amqp://u:p@h//", address(("h", 5672), vhost="/")),
        ("amqp://u:p@h?heartbeat=5", timed(5, vhost="/")),
        ("amqp://u:p@h/?heartbeat=5", timed(5, vhost="/")),
        ("amqp://u:p@h/%2f?heartbeat=5", timed(5, vhost="/")),
        ("amqp://u:p@h/v?", address(("h", 5672))),
        ("amqp://u:p@h/v?heartbeat=600", timed(600)),
        ("amqp://u:p@h/v?connection_timeout=1500&heartbeat=1", timed(1, 1.5)),
        ("amqp://u:p@h/v?socket_timeout=3&&blocked_connection_timeout=60", timed(None, 3, 60)),
        ("amqp://u:p@h/v?stack_timeout=60", timed(None, 60)),
        ("amqp://@h/v", address(("h", 5672), user="fanlight", password="fanlight")),
        ("amqp://u@h/v", address(("h", 5672), password="fanlight")),
        ("amqp://:p@h/v", address(("h", 5672), user="fanlight")),
    ],
)
def test_reads(url: str, expected: BrokerAddress) -> None:
    assert broker_address(url) == expected


def test_tls_has_its_own_default_port_and_an_address_shows_no_password() -> None:
    tls = broker_address("amqps://u:p@a,b:5672/v")
    assert tls.tls
    assert tls.hosts == (("a", 5671), ("b", 5672))
    assert not broker_address("amqp://a").tls
    assert str(tls) == f"{tls}" == "amqps://u@a:5671,b:5672/v"
    assert "password" not in repr(tls)


@pytest.mark.parametrize(
    ("url", "shown", "why"),
    [
        ("", "", UNKNOWN_SCHEME),
        ("localhost", "localhost", UNKNOWN_SCHEME),
        ("localhost:5672", "localhost:5672", UNKNOWN_SCHEME),
        ("http://h/v", "http://h/v", UNKNOWN_SCHEME),
        ("amqp:h", "amqp:h", UNKNOWN_SCHEME),
        (" amqp://h", " amqp://h", UNKNOWN_SCHEME),
        ("u:secret@h/v", "***@h/v", UNKNOWN_SCHEME),
        ("amqp:u:secret@h/v", "***@h/v", UNKNOWN_SCHEME),
        ("amqp:/u:secret@h/v", "***@h/v", UNKNOWN_SCHEME),
        ("http://u:secret@h/v", "http://***@h/v", UNKNOWN_SCHEME),
        ("u:se://cret@h/v", "***://***@h/v", UNKNOWN_SCHEME),
        ("amqp://", "amqp://", BAD_HOST),
        ("amqp:///v", "amqp:///v", BAD_HOST),
        ("amqp://u:secret@/v", "amqp://***@/v", BAD_HOST),
        ("amqp://u:secret@:5672/v", "amqp://***@:5672/v", BAD_HOST),
        ("amqp://u:secret@h:0/v", "amqp://***@h:0/v", BAD_HOST),
        ("amqp://h:65536", "amqp://h:65536", BAD_HOST),
        ("amqp://h:-1", "amqp://h:***", BAD_HOST),
        ("amqp://u:secret", "amqp://u:***", BAD_HOST),
        ("amqp://a,,b", "amqp://a,,b", BAD_HOST),
        ("amqp://a,", "amqp://a,", BAD_HOST),
        ("amqp://a b", "amqp://a b", BAD_HOST),
        ("amqp://a\n", "amqp://a\n", BAD_HOST),
        ("amqp://::1", "amqp://::1", BAD_HOST),
        ("amqp://[::1", "amqp://[:***", BAD_HOST),
        ("amqp://[::1]x", "amqp://[:***", BAD_HOST),
        ("amqp://u:12/secret@h/v", "amqp://***/v", SLASH),
        ("amqp://u:secret@a/v,amqp://u:secret@b/v", "amqp://***/v", SLASH),
        ("amqp://h/v@w", "amqp://***", SLASH),
        (f"amqp://{'x' * 64}.org", f"amqp://{'x' * 64}.org", BAD_HOST),  # no name server knows it
    ],
)
def test_refuses_in_one_sentence_without_the_password(url: str, shown: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        broker_address(url)
    assert str(caught.value) == f"--url {shown!r} cannot be used: {why}"
    assert caught.value.value == shown


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (
            "heartbeet=3",
            "--url: parameter 'heartbeet' cannot be used: known are heartbeat, con",
        ),
        ("cacertfile=/x.pem", "--url: parameter 'cacertfile' cannot be used: write --ca"),
        ("verify=verify_none", "amqps:// is always verified"),
        ("channel_max=1", "'channel_max'"),
        ("a", "'a'"),
        ("heartbeat", "--url: heartbeat '' cannot be used: allowed is 1 to 600 seconds"),
        ("heartbeat=0", "--url: heartbeat '0'"),
        ("heartbeat=601", "heartbeat '601'"),
        ("heartbeat=-1", "heartbeat '-1'"),
        ("heartbeat=1.5", "heartbeat '1.5'"),
        ("heartbeat=²", "heartbeat '²'"),
        (
            "connection_timeout=10",
            "connection_timeout '10' cannot be used: allowed is 100 to 60000 m",
        ),
        ("blocked_connection_timeout=x", "allowed is 1 to 3600 seconds"),
    ],
)
def test_what_is_asked_for_in_a_query_is_heeded_or_refused_by_name(query: str, says: str) -> None:
    for url in (f"amqp://h/v?{query}", f"amqp://u:secret@h?heartbeat=5&{query}"):
        with pytest.raises(ConfigError) as caught:
            broker_address(url)
        assert says in str(caught.value)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("vhost", ["/", "v", "a/b", "a b?#@"])
def test_an_address_shows_a_url_that_means_the_same(vhost: str) -> None:
    made = address(("h", 5672), user="u@:", password="fanlight", vhost=vhost)
    assert broker_address(str(made)) == made


# Without a broker ----------------------------------------------------------------------------------------

TCP_RULE = "HOST:PORT where the producer listens (without HOST: this machine only), ports 1 to 65535"


@pytest.mark.parametrize("design", Design)
@pytest.mark.parametrize(
    ("host_port", "host", "port"),
    [
        ("h:1", "h", 1),
        ("h:65535", "h", 65535),
        ("h:7000/", "h", 7000),
        ("0.0.0.0:7000", "0.0.0.0", 7000),  # noqa: S104
        ("192.168.1.2:7000", "192.168.1.2", 7000),
        ("[::1]:7000", "::1", 7000),
        ("[::]:7000", "::", 7000),
        ("[2001:db8::1]:7000/", "2001:db8::1", 7000),
        (":7000", "127.0.0.1", 7000),
    ],
)
def test_reads_where_a_producer_listens(design: Design, host_port: str, host: str, port: int) -> None:
    address = TcpAddress(design, host, port)
    assert parse_url(f"tcp+{design}://{host_port}") == address
    assert parse_url(f"TCP+{str(design).upper()}://{host_port}") == address
    shown = f"[{host}]" if ":" in host else host
    assert str(address) == f"tcp+{design}://{shown}:{port}"


@pytest.mark.parametrize(
    ("host_port", "shown"),
    [
        ("", ""), ("/", "/"), (":", ":***"), ("h", "h"), ("h:", "h:***"), ("h:0", "h:0"),
        ("h:65536", "h:65536"),
        ("h:-1", "h:***"), ("h:x", "h:***"), ("::1:7000", "::1:7000"), ("::7000", "::7000"),
        ("[::1]", "[::1]"), ("[::1:7000", "[:***"), ("[::1]x:7000", "[:***"),
        ("h:1/cam", "h:1/cam"), ("h:1//", "h:1//"), ("h:1?x", "h:1?***"), ("h:1#x", "h:1#***"),
        ("a:1,b:2", "a:1,b:2"), ("a..b:1", "a..b:1"), (" h:1", " h:***"), ("h:1\n", "h:***"),
        ("user@h:1", "***@h:1"), ("u:secret@h:1", "***@h:1"), ("u:se/cret@h:1", "***"),
    ],
)  # fmt: skip
def test_refuses_what_is_not_host_and_port(host_port: str, shown: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(f"tcp+threads://{host_port}")
    url = f"tcp+threads://{shown}"
    assert str(caught.value) == f"--url {url!r} cannot be used: allowed is tcp+threads://{TCP_RULE}"


@pytest.mark.parametrize("scheme", ["tcp", "tcp+", "tcp+other", "threads", "multiplex", "tcp threads"])
def test_there_are_no_other_designs(scheme: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(f"{scheme}://h:1", "FANLIGHT_URL")
    assert caught.value.name == "FANLIGHT_URL"
    assert caught.value.allowed == UNKNOWN_SCHEME


# Properties --------------------------------------------------------------------------------------------

SECRET = "S3cr3t"
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.text("/@:,?#%[] ", max_size=6)
openings = st.sampled_from(
    ["amqp://", "amqps://", "AMQP://", "", "amqp:", "amqp:/", "http://", "tcp+threads://"]
)
endings = st.sampled_from(["h/v", "h", "a,b:1/v", "h:x/v", "", "/v", "h:0", "[::1]/v", "[::1", "a b/v"])


@example("", "//", "/", "h/v")
@example("amqp:", "//", "/", "h/v")
@example("", '"', "://", "h/v")
@given(openings, anything, anything, endings)
def test_no_password_is_ever_shown_however_malformed_the_url(
    opening: str, before: str, after: str, ending: str
) -> None:
    try:
        parsed = broker_address(f"{opening}u:{before}{SECRET}{after}@{ending}")
    except ConfigError as error:
        shown = [str(error), repr(error), repr(error.value)]
    else:
        shown = [str(parsed), repr(parsed)]
        assert SECRET in parsed.password
    assert all(SECRET not in text for text in shown), shown


@given(*[st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)] * 3)
def test_percent_encoding_carries_any_user_password_and_vhost(user: str, password: str, vhost: str) -> None:
    url = f"amqp://{quote(user, safe='')}:{quote(password, safe='')}@h/{quote(vhost, safe='')}"
    assert broker_address(url) == address(("h", 5672), user=user, password=password, vhost=vhost)


@given(st.text(max_size=40) | st.text("amqps:/@,.[]0123456789ab%?#", max_size=40).map("amqp://".__add__))
def test_any_text_is_read_or_refused(url: str) -> None:
    try:
        parsed = broker_address(url)
    except ConfigError:
        return
    assert parsed.hosts
    assert all(host and 1 <= port <= 65535 for host, port in parsed.hosts)
    assert parsed.user
    assert parsed.vhost


@given(st.sampled_from(Design), st.text(max_size=20) | st.text("hx.:[]/@?#%0123456789 ", max_size=20))
def test_any_host_and_port_are_read_or_refused(design: Design, host_port: str) -> None:
    try:
        parsed = parse_url(f"tcp+{design}://{host_port}")
    except ConfigError:
        return
    assert isinstance(parsed, TcpAddress)
    assert parsed.design is design
    assert parsed.host
    assert 1 <= parsed.port <= 65535
    assert parse_url(str(parsed)) == parsed
