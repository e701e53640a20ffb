"""Starts the broker with `docker compose`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable

from common.errors import FanlightError
from scripts.lib.instance import CHECKOUT, Instance, Record
from scripts.lib.ports import free_ports, is_free

NAME = "docker"
IMAGE = "rabbitmq:4-management"  # as in docker-compose.yml
_AMQP, _MANAGEMENT = 5672, 15672
_ASK_S, _UP_S = 15.0, 600.0


class DockerFailed(FanlightError):
    """Docker said no."""


def missing() -> str | None:
    """Why this way is not open; None if it is."""
    if shutil.which("docker") is None:
        return "Docker is not installed"
    if _run("docker", "info", timeout_s=_ASK_S)[0] != 0:
        return "no Docker engine answers"
    if _run("docker", "compose", "version", timeout_s=_ASK_S)[0] != 0:
        return "Docker lacks Compose v2 (docker compose)"
    return None


def up(instance: Instance, say: Callable[[str], None]) -> Record:
    """Bring the container up and wait until it is healthy.

    Raises:
        DockerFailed: one line with Docker's own reason.
    """
    amqp, management = (p if is_free(p) else free_ports(1)[0] for p in (_AMQP, _MANAGEMENT))
    record = Record(
        NAME,
        url=f"amqp://fanlight:fanlight@localhost:{amqp}/fanlight",
        project=_project(instance),
        console=f"http://localhost:{management}",
    )
    instance.write(record)
    if _run("docker", "image", "inspect", IMAGE, timeout_s=_ASK_S)[0] != 0:
        say(f"fetching the image {IMAGE}")
    say(f"starting {IMAGE} with docker compose")
    ports = {"FANLIGHT_AMQP_PORT": str(amqp), "FANLIGHT_MANAGEMENT_PORT": str(management)}
    code, said = _compose(record, "up", "--detach", "--wait", timeout_s=_UP_S, environment=ports)
    if code != 0:
        raise DockerFailed(f"docker compose up failed: {said}")
    return record


def down(instance: Instance) -> None:
    """Remove container, network and data.

    Raises:
        DockerFailed: one line with Docker's own reason.
    """
    record = instance.read()
    if record is None:
        return
    code, said = _compose(record, "down", "--volumes", "--remove-orphans", timeout_s=_UP_S)
    if code != 0:
        raise DockerFailed(f"docker compose down failed: {said}")


def describe(instance: Instance) -> str:
    """For `status`."""
    record = instance.read()
    return f"{IMAGE} in Docker, Compose project {record.project if record else '?'}"


def _project(instance: Instance) -> str:
    """One per checkout and instance, and not the one that `docker compose` takes by itself."""
    where = hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:8]
    return f"fanlight-{where}-{instance.name}"


def _compose(
    record: Record, *arguments: str, timeout_s: float, environment: dict[str, str] | None = None
) -> tuple[int, str]:
    files = ("--project-directory", str(CHECKOUT), "--file", str(CHECKOUT / "docker-compose.yml"))
    command = ("docker", "compose", *files, "--project-name", record.project, *arguments)
    return _run(*command, timeout_s=timeout_s, environment=environment)


def _run(*command: str, timeout_s: float, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit code, and the last line that it printed."""
    try:
        done = subprocess.run(
            command,
            check=False,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        return 1, f"no answer within {timeout_s:g} s"
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return done.returncode, lines[-1] if lines else f"exit code {done.returncode}"
