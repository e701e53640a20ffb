"""A broker in a container, counted by its cgroup as the Docker SDK tells it."""

from __future__ import annotations

import secrets
from functools import partial
from types import TracebackType
from typing import Any, Self

from scripts.lib import broker, broker_docker
from scripts.lib.instance import Instance
from scripts.measure.counters import MIB


class ContainerBroker:
    """RabbitMQ from docker compose, for the time of a `with`.

    Attributes:
        url: for producers and consumers.
    """

    def __init__(self) -> None:
        self._instance = Instance(f"bench-{secrets.token_hex(3)}")
        self._container: Any = None
        self.url = ""

    def __enter__(self) -> Self:
        import docker

        try:
            self.url = broker.up(self._instance, partial(print, flush=True), only=broker_docker.NAME).url
            record = self._instance.read()
            project = "" if record is None else record.project
            label: dict[str, str | list[str] | bool] = {"label": f"com.docker.compose.project={project}"}
            self._container = docker.from_env().containers.list(filters=label)[0]
        except BaseException:
            broker.down(self._instance)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        broker.down(self._instance)

    def processes(self) -> dict[int, str]:
        """Its processes, by their ids on the host."""
        table = self._container.top(ps_args="-eo pid,comm")
        return {int(pid): name for pid, name, *_ in table["Processes"]}

    def usage(self) -> tuple[float, float]:
        """CPU seconds since its start, and memory in MiB without what is mere cache."""
        said = self._container.stats(stream=False, one_shot=True)
        memory = said["memory_stats"]
        cache = memory.get("stats", {}).get("inactive_file", 0)
        return said["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9, (memory["usage"] - cache) / MIB
