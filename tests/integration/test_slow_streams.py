"""A picture every four seconds is a slow stream, not a dead one: for producer, consumers and a hub."""

from __future__ import annotations

import time

import pytest

from scripts.lib.ports import free_ports
from tests.support.commands import running
from tests.support.scrape import health, scrape
from tests.support.timing import wait_until

pytestmark = pytest.mark.brokerless

INTERVAL_S = 4


def test_everybody_is_healthy_between_two_pictures_of_a_slow_stream(stream: str) -> None:
    *ports, port = free_ports(5)
    where = ("--url", f"tcp+multiplex://127.0.0.1:{port}", "--stream", stream)
    commands = [
        ("producer", "--source", "test", "--fps", str(1 / INTERVAL_S), "--size", "320x240"),
        ("consumer", "--sink", "share", "--name", "hub"),
        ("consumer", "--sink", "status", "--name", "viewer"),
        ("consumer", "--sink", "status", "--name", "direct", "--via", "broker", "--playout", "sync"),
    ]
    flags = [(*command, *where, "--metrics", f":{at}") for command, at in zip(commands, ports, strict=True)]
    with running(*flags[0]), running(*flags[1]), running(*flags[2]), running(*flags[3]) as direct:
        wait_until(lambda: all(health(at)[0] == 200 for at in ports), 30, "all have a picture")
        until_s = time.monotonic() + 1.25 * INTERVAL_S
        while time.monotonic() < until_s:
            assert [health(at) for at in ports] == [(200, "frames flow")] * len(ports)
        assert scrape(ports[-1])("consumer_reconnects_total") == 0
        lines = direct.out.text.splitlines()
    begun = next(number for number, line in enumerate(lines) if " fps" in line)
    assert not any("waiting" in line for line in lines[begun:]), lines
