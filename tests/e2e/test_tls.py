"""TLS to a real RabbitMQ: what is accepted, and what is refused with one line that says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from fanlight.common.model.errors import BrokerRefused, ConfigError
from fanlight.consumer import Consumer
from fanlight.producer import Producer
from scripts.lib.certs import Pair
from tests.support.commands import Command, run, running
from tests.support.marked_stream import Marking, Watcher
from tests.support.timing import scaled, wait_until
from tests.support.tls import OTHER_NAME, TlsNode


@pytest.fixture
def broker(tls_broker: TlsNode) -> TlsNode:
    return tls_broker


def flags(pair: Pair | None, ca: str | None) -> list[str]:
    own = [] if pair is None else ["--cert", str(pair.cert), "--key", str(pair.key)]
    return [*own, *(["--ca", ca] if ca is not None else [])]


# Logged before it in some cases: a broker that resets the connection at once may lose its own alert.
HUNG_UP = "hung up after the TLS handshake"


def only_line(command: Command) -> str:
    """Its only line; a producer logs first what it is about to do."""
    lines = [line.text for line in command.err.lines if HUNG_UP not in line.text]
    assert len(lines) == (2 if command.program == "producer" and " to amqp" in lines[0] else 1), lines
    return lines[-1]


def test_frames_come_through_tls_by_both_command_lines(broker: TlsNode, stream: str) -> None:
    files = {
        "FANLIGHT_CA": str(broker.authority.pair.cert),
        "FANLIGHT_CERT": str(broker.ann.cert),
        "FANLIGHT_KEY": str(broker.ann.key),
    }
    sending = ["--stream", stream, "--url", broker.url(), *flags(broker.ann, files["FANLIGHT_CA"])]
    with running("producer", *sending, "--size", "640x360") as producer:
        watching = ["--stream", stream, "--sink", "null", "--frames", "30"]
        code, consumer = run(
            "consumer", *watching, environment=files | {"FANLIGHT_URL": broker.url("127.0.0.1")}
        )
        assert code == 0, consumer.err.text
        versions = broker.node.ctl("list_connections", "ssl", "ssl_protocol", "peer_cert_subject")
        assert {line.split("\t")[0] for line in versions.splitlines()[1:]} == {"true"}
        assert "tlsv1.3\tCN=ann" in versions
        assert not [line for line in producer.err.lines if "clear" in line.text]


def test_both_classes_take_the_files_and_the_password(broker: TlsNode, stream: str) -> None:
    files: dict[str, Any] = {
        "ca": str(broker.authority.pair.cert),
        "cert": str(broker.ann.cert),
        "key": str(broker.ann.key),
        "password": "fanlight",
    }
    url = broker.url(user="fanlight")
    with (
        Marking(url, stream, **files),
        Watcher(Consumer(stream=stream, name="w", url=url, **files)) as watcher,
    ):
        wait_until(lambda: watcher.last, 20, "the stream is on")
    for what in (Producer, Consumer):
        with pytest.raises(ConfigError, match="--ca '/none' cannot be used: it cannot be read"):
            what(stream=stream, url=url, ca="/none")
    with (
        Consumer(stream=stream, url=url) as untrusting,
        pytest.raises(BrokerRefused, match="nobody we trust"),
    ):
        untrusting.read(timeout_s=scaled(10))


REFUSALS = {
    "wrong name": (
        "amqps",
        OTHER_NAME,
        "ann",
        "ours",
        "for another name than '127.0.0.2': connect by one that",
    ),
    "unknown CA": ("amqps", "localhost", "ann", "theirs", "nobody we trust has signed the broker's"),
    "only the system's CAs": ("amqps", "localhost", "ann", None, "--ca FILE with its CA"),
    "no client certificate": (
        "amqps",
        "localhost",
        None,
        "ours",
        "asks for a client certificate: --cert FILE",
    ),
    "of another CA": ("amqps", "localhost", "foreign", "ours", "refused our client certificate, whose CA"),
    "an expired one": ("amqps", "localhost", "expired", "ours", "client certificate, which has expired"),
    "plain AMQP to the port of TLS": ("amqp", "localhost", None, None, "speaks TLS: write amqps://"),
}


@pytest.mark.parametrize(
    ("program", "case"),
    [
        *(("consumer", case) for case in REFUSALS),
        ("producer", "wrong name"),
        ("producer", "no client certificate"),
    ],
)
def test_what_cannot_be_trusted_is_refused_in_one_line(broker: TlsNode, program: str, case: str) -> None:
    scheme, host, client, ca, message = REFUSALS[case]
    authority = {None: None, "ours": broker.authority, "theirs": broker.other_authority}[ca]
    pair = {None: None, "ann": broker.ann, "foreign": broker.foreign, "expired": broker.expired}[client]
    given = flags(pair, None if authority is None else str(authority.pair.cert))
    code, command = run(program, "--url", broker.url(host, scheme=scheme), *given)
    line = only_line(command)
    assert code == 1, line
    assert line.startswith(f"{program}: {scheme}://fanlight@{host}:{broker.port}/fanlight: ")
    assert message in line


def test_tls_to_a_plain_port_is_refused_in_one_line(broker: TlsNode) -> None:
    code, command = run("consumer", "--url", f"amqps://localhost:{broker.node.port}/fanlight")
    assert code == 1
    assert "does not speak TLS: write amqp://" in only_line(command)


def test_all_hosts_are_asked_before_it_gives_up(broker: TlsNode, stream: str) -> None:
    hosts = f"{OTHER_NAME}:{broker.port},localhost:{broker.port}"
    given = flags(broker.ann, str(broker.authority.pair.cert))
    url = f"amqps://fanlight:fanlight@{hosts}/fanlight"
    for _ in range(20):  # the first host is drawn at random
        with running("consumer", "--stream", stream, "--url", url, "--sink", "null", *given) as consumer:
            consumer.wait_line("connected to")
            if "for another name" in consumer.err.text:
                return
    raise AssertionError("none began at the other name")


def test_an_expired_certificate_is_waited_out_and_refuses_new_consumers(
    broker: TlsNode, stream: str
) -> None:
    given = flags(broker.ann, str(broker.authority.pair.cert))
    watching = ["--stream", stream, "--url", broker.url(), "--sink", "null", *given]
    with running("consumer", *watching) as consumer:
        consumer.wait_line("connected to")
        broker.present(days=-1)
        broker.node.ctl("close_all_connections", "-p", "fanlight", "test")
        assert "attempt" in consumer.wait_line("has expired: renew it").text
        code, later = run("consumer", *watching)
        assert code == 1
        assert "has expired: renew it" in only_line(later)
        seen = len(consumer.err.lines)
        broker.present(days=1)
        wait_until(
            lambda: any("connected to" in line.text for line in consumer.err.lines[seen:]), 15, "it is back"
        )
        assert consumer.process.poll() is None


def test_a_password_that_crosses_the_network_in_clear_is_warned_of_once(
    broker: TlsNode, stream: str
) -> None:
    if broker.outside is None:
        pytest.skip("this machine has no address but the loopback")
    url = f"amqp://fanlight:fanlight@{broker.outside}:{broker.outside_port}/fanlight"
    with (
        running("producer", "--stream", stream, "--url", url) as producer,
        running("consumer", "--stream", stream, "--url", broker.node.url, "--sink", "null") as local,
    ):
        line = producer.wait_line("in clear").text
        assert f"cross the network to {broker.outside} in clear: write amqps://" in line
        producer.wait_line("connected to")
        local.wait_line("connected to")
        broker.node.ctl("close_all_connections", "-p", "fanlight", "test")
        wait_until(lambda: producer.err.text.count("connected to") == 2, 15, "it is back")
        assert producer.err.text.count("in clear") == 1
        assert "in clear" not in local.err.text
