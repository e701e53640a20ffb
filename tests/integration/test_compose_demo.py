"""What README promises: `docker compose --profile demo up` shows a stream at http://localhost:8080."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import struct
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection

import aiohttp
import pytest

from scripts.lib import broker_docker
from scripts.lib.ports import is_free
from tests.support.commands import ROOT, clean_environment
from tests.support.timing import scaled

# The image is built where nothing of it is cached.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

PAGE = "http://localhost:8080"
SERVICES = {"broker", "producer", "wall"}
CLIP = "bigbuckbunny-720p.mp4"
# Beginning of a binary message: version, kind, flags, reserved, id, sequence number.
HEADER = struct.Struct(">BBBBIQ")


def compose(*arguments: str) -> str:
    """What `docker compose --profile demo ARGUMENTS` prints; it has to succeed."""
    done = subprocess.run(
        ["docker", "compose", "--profile", "demo", *arguments], check=False, cwd=ROOT,
        env=clean_environment() | {"FANLIGHT_SOURCE": CLIP}, capture_output=True, text=True,
        timeout=scaled(250),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def shown() -> Iterator[None]:
    problem = broker_docker.missing()
    if problem is not None:
        pytest.skip(problem)
    if not all(map(is_free, (5672, 15672, 8080))):
        pytest.skip("port 5672, 15672 or 8080 is in use: this test needs the default ports")
    try:
        compose("up", "--detach", "--wait", "--build", "--quiet-pull")
        yield
    finally:
        compose("down", "--volumes")


def opened(host: str) -> tuple[int, str]:
    """Status and type of what the page's address returns to a client that names it `host`."""
    with contextlib.closing(HTTPConnection("localhost", 8080, timeout=scaled(10))) as connection:
        connection.request("GET", "/", headers={"Host": host})
        response = connection.getresponse()
        return response.status, response.headers.get_content_type()


@pytest.mark.usefixtures("shown")
def test_all_three_are_healthy_and_the_page_opens_without_a_login() -> None:
    listed = map(json.loads, compose("ps", "--format", "{{json .}}").splitlines())
    assert {one["Service"]: one["Health"] for one in listed} == dict.fromkeys(SERVICES, "healthy")
    assert opened("localhost:8080") == (200, "text/html")


@pytest.mark.usefixtures("shown")
def test_only_this_machine_reaches_it_and_under_its_own_name_only() -> None:
    published = re.findall(r"(\S+?):(\d+)->", compose("ps", "--format", "{{.Ports}}"))
    assert sorted(published) == [("127.0.0.1", port) for port in ("15672", "5672", "8080")]
    assert opened("attacker.example")[0] in range(400, 500)


@pytest.mark.usefixtures("shown")
def test_frames_of_the_clip_arrive_in_order() -> None:
    async def numbers() -> list[int]:
        found: list[int] = []
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{PAGE}/ws", origin=PAGE) as socket,
        ):
            await socket.send_json({"type": "subscribe", "stream": "cam", "as": "frames"})
            while len(found) < 30:
                message = await socket.receive()
                if message.type is aiohttp.WSMsgType.BINARY:
                    found.append(HEADER.unpack_from(message.data)[-1])
                else:
                    assert message.type is aiohttp.WSMsgType.TEXT, message
        return found

    found = asyncio.run(asyncio.wait_for(numbers(), scaled(30)))
    assert found == sorted(set(found))
    assert CLIP in compose("logs", "producer")


@pytest.mark.usefixtures("shown")
@pytest.mark.parametrize("service", sorted(SERVICES - {"broker"}))
def test_neither_command_runs_as_root_or_can_write_to_its_image(service: str) -> None:
    status = compose("exec", "-T", service, "cat", "/proc/1/status")
    uids = re.search(r"^Uid:\s+(\d+)\s+(\d+)", status, re.MULTILINE)
    assert uids is not None
    assert "0" not in uids.groups()
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^\S+ / \S+ ro,", compose("exec", "-T", service, "cat", "/proc/mounts"), re.MULTILINE)


@pytest.mark.usefixtures("shown")
def test_both_commands_end_by_themselves_when_asked_to() -> None:
    """After the others: with 137 Docker has killed it, 10 s after SIGTERM."""
    compose("stop", "producer", "wall")
    listed = map(json.loads, compose("ps", "--all", "--format", "{{json .}}").splitlines())
    codes = {one["Service"]: one["ExitCode"] for one in listed if one["Service"] != "broker"}
    assert codes == {"producer": 0, "wall": 0}


def test_without_the_profile_there_is_the_broker_alone() -> None:
    if (problem := broker_docker.missing()) is not None:
        pytest.skip(problem)
    services = subprocess.run(
        ["docker", "compose", "config", "--services"],
        cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert services.split() == ["broker"]
