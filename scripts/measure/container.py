"""A broker in a container, counted by its cgroup as the Docker SDK reports it."""

from __future__ import annotations

import time
from typing import Any, Final, Self

from fanlight.common.model.errors import FanlightError
from scripts.lib import broker
from scripts.lib.broker_docker import IMAGE
from scripts.lib.instance import CHECKOUT
from scripts.lib.ports import LOOPBACK, free_ports
from scripts.measure.counters import MIB

_START_S: Final = 120.0
_DEFINITIONS: Final = "/etc/rabbitmq/fanlight.json"
_START_CONF: Final = "/etc/rabbitmq/rabbitmq-env.conf"
_CONF: Final = "/etc/rabbitmq/conf.d/20-fanlight.conf"


class ContainerBroker:
    """RabbitMQ as docker-compose.yml has it, but for the health check: that one starts a process every 3 s,
    which its cgroup counts and no list of processes can.

    Attributes:
        url: for producers and consumers.
    """

    def __init__(self) -> None:
        self._port = free_ports(1)[0]
        self._container: Any = None
        self.url = f"amqp://fanlight:fanlight@{LOOPBACK}:{self._port}/fanlight"

    def __enter__(self) -> Self:
        import docker

        self._container = docker.from_env().containers.run(
            IMAGE,
            detach=True,
            auto_remove=True,
            ports={"5672/tcp": (LOOPBACK, self._port)},
            volumes=[
                f"{CHECKOUT / 'broker' / 'rabbitmq.conf'}:{_CONF}:ro",
                f"{CHECKOUT / 'broker' / 'definitions.json'}:{_DEFINITIONS}:ro",
                f"{CHECKOUT / 'broker' / 'rabbitmq-env.conf'}:{_START_CONF}:ro",
            ],
            tmpfs={"/var/lib/rabbitmq": "size=1g"},
            healthcheck={"test": ["NONE"]},
        )
        deadline_s = time.monotonic() + _START_S
        while True:
            try:
                broker.require_answer(self.url)
            except FanlightError:
                if time.monotonic() > deadline_s:
                    self._container.stop()
                    raise
                time.sleep(0.5)
            except BaseException:
                self._container.stop()
                raise
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self._container.stop()

    def processes(self) -> dict[int, str]:
        """Its processes, by their ids on the host."""
        table = self._container.top(ps_args="-eo pid,comm")
        return {int(pid): name for pid, name, *_ in table["Processes"]}

    def usage(self) -> tuple[float, float]:
        """CPU seconds since its start, and memory in MiB without what is mere cache."""
        stats = self._container.stats(stream=False, one_shot=True)
        memory = stats["memory_stats"]
        cache = memory.get("stats", {}).get("inactive_file", 0)
        return stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9, (memory["usage"] - cache) / MIB
