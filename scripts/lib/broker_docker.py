"""Starts the broker with `docker compose`."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable

from fanlight.common.model.errors import FanlightError
from scripts.lib.instance import CHECKOUT, Instance, Record
from scripts.lib.ports import free_ports, is_free
from scripts.lib.quietly import run_quietly

NAME = "docker"
IMAGE = "rabbitmq:4-management"  # as in docker-compose.yml
_AMQP, _MANAGEMENT = 5672, 15672
_ASK_S, _UP_S = 15.0, 600.0


class DockerFailed(FanlightError):
    """Docker failed."""


def missing() -> str | None:
    """Why this way is not open; None if it is."""
    if shutil.which("docker") is None:
        return "Docker is not installed"
    if not _works("docker", "info"):
        return "no Docker engine answers"
    if not _works("docker", "compose", "version"):
        return "Docker lacks Compose v2 (docker compose)"
    return None


def up(instance: Instance, show: Callable[[str], None]) -> Record:
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
    if not _works("docker", "image", "inspect", IMAGE):
        show(f"fetching the image {IMAGE}")
    show(f"starting {IMAGE} with docker compose")
    ports = {"FANLIGHT_AMQP_PORT": str(amqp), "FANLIGHT_MANAGEMENT_PORT": str(management)}
    failed = _compose(
        record, "up", "--detach", "--wait", environment=ports,
        progress=lambda text: show(f"docker compose up, {text}"),
    )  # fmt: skip
    if failed is not None:
        raise DockerFailed(f"docker compose up failed: {failed[-1]}")
    return record


def down(instance: Instance) -> None:
    """Remove container, network and data.

    Raises:
        DockerFailed: one line with Docker's own reason.
    """
    record = instance.read()
    if record is None:
        return
    failed = _compose(record, "down", "--volumes", "--remove-orphans")
    if failed is not None:
        raise DockerFailed(f"docker compose down failed: {failed[-1]}")


def describe(instance: Instance) -> str:
    """For `status`."""
    record = instance.read()
    return f"{IMAGE} in Docker, Compose project {record.project if record else '?'}"


def _project(instance: Instance) -> str:
    """One per checkout and instance, and not the one that `docker compose` takes by itself."""
    where = hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:8]
    return f"fanlight-{where}-{instance.name}"


def _compose(
    record: Record,
    *arguments: str,
    environment: dict[str, str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[str] | None:
    files = ("--project-directory", str(CHECKOUT), "--file", str(CHECKOUT / "docker-compose.yml"))
    command = ("docker", "compose", *files, "--project-name", record.project, *arguments)
    return run_quietly(command, environment or {}, timeout_s=_UP_S, progress=progress)


def _works(*command: str) -> bool:
    return run_quietly(command, {}, timeout_s=_ASK_S) is None
