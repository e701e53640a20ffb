"""How long a new client waits for its first picture, design by design; part of `bench.py designs`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from fanlight.common.model.stats import percentile
from fanlight.consumer import Consumer
from scripts.lib.ports import free_ports
from scripts.measure.comparison import Cell
from scripts.measure.designs import Place
from scripts.measure.processes import Fleet, RunFailed

_JOINS: Final = 20
_WAIT_S: Final = 20.0
# Not in step with the seconds between keyframes, and farther apart than the producer's answers to keyframe
# requests (500 ms): else every join would wait for what the one before has used up.
_APART_S: Final = 0.737


def run(
    results: Path, clip: Path, url: str, *, names: Sequence[str], size: str, show: Callable[[str], None]
) -> None:
    """Join each design twenty times while another client watches; what was found is kept as joins.json."""
    found: dict[str, Any] = {}
    for name in names:
        if name == "hub":
            continue  # to a client the same as the broker, until it finds the hub
        place = Place(url, free_ports(1)[0], clip, results / f"joins-{name}")
        design = Cell(0, size, "h264", 1, name).design
        with Fleet(place.folder) as fleet:
            fleet.start("producer", design.producer(place))
            fleet.start("consumer-0", design.consumer(place, 0))
            watched = url if design.uses_broker else place.tcp(name)
            with Consumer(url=watched, name="first") as first:
                if first.read(_WAIT_S) is None:
                    raise RunFailed(f"joins: nothing came by {name}")
            waits_ms = [_join_ms(watched, number) for number in range(_JOINS)]
        median, worst = percentile(waits_ms, 0.5), max(waits_ms)
        found[name] = {"joins": _JOINS, "p50_ms": median, "max_ms": worst, "all_ms": waits_ms}
        show(f"first picture after a join, {name}: median {median:.0f} ms, longest {worst:.0f} ms")
    (results / "joins.json").write_text(json.dumps(found, indent=1) + "\n")


def _join_ms(url: str, number: int) -> float:
    time.sleep(_APART_S)
    began_s = time.monotonic()
    with Consumer(url=url, name=f"j{number}") as consumer:
        if consumer.read(_WAIT_S) is None:
            raise RunFailed(f"joins: no picture within {_WAIT_S:g} s")
        return (time.monotonic() - began_s) * 1e3
