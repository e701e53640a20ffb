"""One run of one design: start everything, let it settle, measure a window, stop everything."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final, Protocol

from scripts.lib.ports import free_ports, is_free
from scripts.measure import traces
from scripts.measure.counters import cpu_s, memory_kib
from scripts.measure.designs import Design, Place, rendered
from scripts.measure.processes import Fleet, wait_for
from scripts.measure.traces import Figures

_START_S: Final = 90.0
SETTLE_S: Final = 4.0
# Traces are written through about once a second.
_TRACE_LAG_S: Final = 1.3


class Broker(Protocol):
    """A RabbitMQ that runs use."""

    @property
    def url(self) -> str:
        """For producers and consumers."""
        ...

    def processes(self) -> dict[int, str]:
        """Its processes: id and name."""
        ...


@dataclass(frozen=True, slots=True)
class Running:
    """The processes of a run, for what is done to them while it is measured."""

    fleet: Fleet
    producer: subprocess.Popen[bytes]
    consumers: tuple[subprocess.Popen[bytes], ...]
    broker: tuple[int, ...]
    place: Place
    hub: subprocess.Popen[bytes] | None = None

    @property
    def roles(self) -> dict[str, tuple[int, ...]]:
        """Process ids by role."""
        return {
            "producer": (self.producer.pid,),
            "consumers": tuple(p.pid for p in self.consumers),
            "broker": self.broker,
            "hub": () if self.hub is None else (self.hub.pid,),
        }


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one window.

    Attributes:
        cores: CPU seconds per second, by role: producer, consumers, broker, hub, total.
        pss_mib: of each consumer at the end of the window.
        producer_pss_mib: likewise.
        shown: what every consumer presented in the window.
    """

    design: str
    viewers: int
    span_s: float
    figures: Figures
    cores: dict[str, float]
    pss_mib: tuple[float, ...]
    producer_pss_mib: float
    shown: tuple[list[traces.Shown], ...] = field(repr=False)

    @property
    def fps_worst(self) -> float:
        return min(self.figures.fps)

    def row(self) -> dict[str, float | str | int]:
        """One line of the CSV."""
        figures = self.figures
        return {
            "design": self.design,
            "viewers": self.viewers,
            "span_s": round(self.span_s, 2),
            "fps_worst": round(self.fps_worst, 2),
            "fps_median": round(statistics.median(figures.fps), 2),
            "age_p50_ms": round(figures.age_ms[0], 2),
            "age_p99_ms": round(figures.age_ms[1], 2),
            "age_max_ms": round(figures.age_ms[2], 2),
            "skew_p50_ms": round(figures.skew_ms[0], 2),
            "skew_p99_ms": round(figures.skew_ms[1], 2),
            "off_median_p50_ms": round(figures.off_median_ms[0], 2),
            "off_median_p99_ms": round(figures.off_median_ms[1], 2),
            **{f"cores_{role}": round(value, 3) for role, value in self.cores.items()},
            "pss_consumer_mib": round(statistics.median(self.pss_mib), 1),
            "pss_consumer_worst_mib": round(max(self.pss_mib), 1),
            "pss_producer_mib": round(self.producer_pss_mib, 1),
        }


class Bench:
    """Where runs take place: one broker, one folder, one clip after the other.

    Args:
        folder: for logs and traces; each run gets a folder of its own in it.
        span_s: how long each run is measured.
        settle_s: how long it runs before that, once everybody shows something.
    """

    def __init__(self, node: Broker, folder: Path, span_s: float, settle_s: float = SETTLE_S) -> None:
        self.node = node
        self.folder = folder
        self.span_s = span_s
        self.settle_s = settle_s
        self._numbers = count(1)

    def run(
        self,
        design: Design,
        viewers: int,
        clip: Path,
        *,
        span_s: float | None = None,
        during: Callable[[Running], None] | None = None,
        offsets_ns: dict[int, int] | None = None,
    ) -> Result:
        """Measure one design.

        Args:
            during: called at the start of the window, in its time.
            offsets_ns: how far the clocks of single consumers are set off, by their number.

        Raises:
            RunFailed: a process ended or stayed silent.
        """
        folder = self.folder / f"{next(self._numbers):03d}-{design.name}-{viewers}"
        place = Place(self.node.url, free_ports(1)[0], clip, folder)
        with Fleet(folder) as fleet:
            producer = None
            if design.producer_first:
                producer = fleet.start("producer", design.producer(place))
                wait_for(f"port {place.port}", lambda: not is_free(place.port), fleet, _START_S)
            hub = None
            if design.hub is not None:
                producer = fleet.start("producer", design.producer(place))
                hub = fleet.start("hub", design.hub(place))
                wait_for("a hub", lambda: "MiB" in fleet.log("hub"), fleet, _START_S)
            consumers = tuple(
                fleet.start(f"consumer-{n}", design.consumer(place, n)) for n in range(viewers)
            )
            producer = producer or fleet.start("producer", design.producer(place))
            broker = tuple(self.node.processes()) if design.uses_broker else ()
            running = Running(fleet, producer, consumers, broker, place, hub)
            wait_for("a picture everywhere", lambda: _all_show(design, running), fleet, _START_S)
            time.sleep(self.settle_s)
            return _measure(design, running, span_s or self.span_s, during, offsets_ns or {})


def _all_show(design: Design, running: Running) -> bool:
    numbers = range(len(running.consumers))
    if not design.traced:
        return all(rendered(running.fleet.log(f"consumer-{n}")) > 0 for n in numbers)
    paths = [running.place.trace(n) for n in numbers]
    return all(path.exists() and b",presented" in path.read_bytes()[:4096] for path in paths)


def _measure(
    design: Design,
    running: Running,
    span_s: float,
    during: Callable[[Running], None] | None,
    offsets_ns: dict[int, int],
) -> Result:
    roles = running.roles
    used = {role: cpu_s(pids) for role, pids in roles.items()}
    counts = _counts(design, running)
    begin_ns, began = time.time_ns(), time.monotonic()
    if during is not None:
        during(running)
    while (left := began + span_s - time.monotonic()) > 0:
        running.fleet.check()
        time.sleep(min(1.0, left))
    took_s = time.monotonic() - began
    end_ns = time.time_ns()
    cores = {role: (cpu_s(pids) - used[role]) / took_s for role, pids in roles.items()}
    cores["total"] = sum(cores.values())
    shown_counts = [now - before for now, before in zip(_counts(design, running), counts, strict=True)]
    pss = [memory_kib(p.pid)[0] / 1024 for p in running.consumers]
    producer_pss = memory_kib(running.producer.pid)[0] / 1024
    running.fleet.check()
    if not design.traced:
        nan = float("nan")
        fps = tuple(number / took_s for number in shown_counts)
        figures = Figures(fps, (nan, nan, nan), (nan, nan), (nan, nan))
        shown: tuple[list[traces.Shown], ...] = ()
    else:
        time.sleep(_TRACE_LAG_S)
        shown = tuple(
            traces.within(traces.read(running.place.trace(n), offsets_ns.get(n, 0)), begin_ns, end_ns)
            for n in range(len(running.consumers))
        )
        figures = traces.figures(shown, took_s)
    return Result(
        design.name, len(running.consumers), took_s, figures, cores, tuple(pss), producer_pss, shown
    )


def _counts(design: Design, running: Running) -> list[int]:
    if design.traced:
        return [0] * len(running.consumers)
    return [rendered(running.fleet.log(f"consumer-{n}")) for n in range(len(running.consumers))]
