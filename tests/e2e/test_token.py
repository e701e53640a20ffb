"""The shared token of the designs without a broker, by the commands as a user types them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from fanlight.consumer import Consumer
from scripts.lib.ports import free_ports
from tests.support.broker import tcp_url
from tests.support.commands import Command, run, running
from tests.support.marked_stream import Marking, Watcher
from tests.support.timing import wait_until
from tests.support.tls import outside_address

TOKEN = "s3cret-s3cret-s3cret"
OTHER = "another-another-another"


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def outside() -> str:
    """An address of this machine that is not the loopback."""
    address = outside_address()
    if address is None:
        pytest.skip("this machine has no address but the loopback")
    return address


def sending(
    url: str, stream: str, *more: str, **environment: str
) -> tuple[tuple[str, ...], dict[str, str]]:
    return ("--url", url, "--stream", stream, "--size", "320x180", "--codec", "jpeg", *more), environment


def output_of(*commands: Command) -> str:
    return "\n".join(text for command in commands for text in (command.err.text, command.out.text))


def test_beyond_this_machine_both_sides_need_the_token(stream: str, outside: str, token_file: str) -> None:
    port = free_ports(1)[0]
    beyond, url = f"tcp+multiplex://0.0.0.0:{port}", f"tcp+multiplex://{outside}:{port}"
    code, refused = run("producer", "--url", beyond)
    assert code == 2
    assert refused.err.text.startswith(
        f"producer: --url '{beyond}' cannot be used: beyond this machine it needs"
    )
    assert "FANLIGHT_TOKEN or --token-file FILE" in refused.err.text

    arguments, environment = sending(beyond, stream, "--token-file", token_file)
    with running("producer", *arguments, environment=environment) as producer:
        producer.wait_line("listening at")
        watching = ("--url", url, "--stream", stream, "--sink", "null", "--frames", "5")
        code, good = run("consumer", *watching, environment={"FANLIGHT_TOKEN": TOKEN})
        assert code == 0, good.err.text
        assert good.err.text.count(f"every frame crosses the network from {outside} in clear") == 1
        code, none = run("consumer", *watching)
        assert code == 1
        assert "the producer refused us: token is 'missing'" in none.err.text
        code, wrong = run("consumer", *watching, environment={"FANLIGHT_TOKEN": OTHER})
        assert code == 1
        assert "the producer refused us: token is 'another one'" in wrong.err.text
        for command in (none, wrong):
            (line,) = command.err.lines
            assert line.text.startswith(f"consumer: {url}: ")
        producer.wait_line("refused: token is 'missing': allowed is the one of this producer")
        producer.signal(signal.SIGINT)
        assert producer.wait() == 0
        assert "2 refused" in producer.err.lines[-1].text
        assert producer.err.text.count("in clear") == 1
        assert TOKEN not in output_of(producer, good, none, wrong)
        assert OTHER not in output_of(producer, wrong)


def test_a_consumer_that_stood_waits_for_its_producer_to_come_back_with_the_token(stream: str) -> None:
    url = tcp_url("multiplex")
    with Watcher(Consumer(stream=stream, name="w", url=url, token=TOKEN)) as watcher:
        for token in (TOKEN, OTHER, TOKEN):
            with Marking(url, stream, token=token) as marking:
                if token == OTHER:
                    wait_until(lambda m=marking: m.producer.stats().refused, 10)  # type: ignore[misc]
                    continue
                seen = len(watcher.seen)
                wait_until(lambda n=seen: len(watcher.seen) > n, 20, "frames")  # type: ignore[misc]
        assert watcher.faults() == []
