"""`bench.py web`: what the wall's gateway costs per client, and beside it the peers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from scripts.lib.instance import CHECKOUT
from scripts.lib.ports import free_ports, is_free
from scripts.measure import counters, fanout
from scripts.measure.clip import FPS
from scripts.measure.goals import Goal, Score
from scripts.measure.processes import Fleet, RunFailed, wait_for
from tests.support.scrape import scrape

CLIENTS: Final = (1, 20, 100, 300)
_PEER_CLIENTS: Final = 10
_STALLED: Final = 10
_BESIDE: Final = 20
_SETTLE_S: Final = 5.0
_START_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure.

    Attributes:
        clients: numbers of clients that only read.
        span_s: of a window.
        webgear: the Python of an environment with VidGear; None to leave it out.
    """

    clients: Sequence[int]
    span_s: float
    webgear: str | None


class Web:
    """One run of everything.

    Args:
        clip: H.264 in MP4, 720p30, longer than a run.
        url: of the broker.
    """

    def __init__(
        self, plan: Plan, results: Path, clip: Path, url: str, show: Callable[[str], None]
    ) -> None:
        self._plan = plan
        self._results = results
        self._clip = clip
        self._url = url
        self._show = show
        self._frames = results / "frames.bin"
        self.score = Score()
        self.rows: list[dict[str, Any]] = []

    def run(self) -> None:
        """Measure, print and keep a row for each case."""
        self._frames.write_bytes(fanout.encoded(self._clip))
        for clients in self._plan.clients:
            row = self._wall(clients)
            case = f"{clients} clients"
            # One client has the stream's whole cost, of which the others cause nothing.
            self.score.add(
                Goal(case, "cores per client", "", 0.004 if clients > 1 else None), row["cores"] / clients
            )
            if "mib_per_client" in row:
                self.score.add(Goal(case, "memory per client", "MiB", 0.5), row["mib_per_client"])
            limit = 0.015 if clients == 100 else None
            self.score.add(
                Goal(case, "delay in the gateway, slowest page, p99", "s", limit), row["delay_s"]
            )
            self.score.add(Goal(case, "frames per second, worst", "", FPS - 1, True), row["fps_worst"])
        self._stalled()
        self._peers()

    def _wall(self, clients: int, stalled: int = 0) -> dict[str, Any]:
        port, metrics = free_ports(2)
        with Fleet(self._results / f"wall-{clients}-{stalled}") as fleet:
            fleet.start("feed", self._python("scripts.measure.feed", self._url, self._frames, FPS))
            command = self._python(
                "consumer.wall", "--url", self._url, "--streams", "cam", "--listen", f":{port}",
                "--metrics", f":{metrics}",
            )  # fmt: skip
            gateway = fleet.start("wall", command).pid
            wait_for(f"port {port}", partial(_listens, port), fleet, _START_S)
            # With one page everything that is not for a client is there: threads, buffers, modules.
            with _Drain(f"http://127.0.0.1:{port}/ws", 1, 1.0):
                time.sleep(_SETTLE_S)
                base_mib = counters.pss_mib(gateway)
                with _Drain(f"http://127.0.0.1:{port}/ws", clients, self._plan.span_s, stalled) as drain:
                    time.sleep(_SETTLE_S + clients / 100)
                    row: dict[str, Any] = {"case": "wall", "clients": clients, "stalled": stalled}
                    row |= self._window(gateway, drain)
                    row["delay_s"] = scrape(metrics)("wall_worst_delay_seconds")
                    row["mib"] = counters.pss_mib(gateway)
                    if clients > 1:
                        row["mib_per_client"] = round((row["mib"] - base_mib) / (clients + stalled), 4)
            fleet.check()
        return self._keep(row)

    def _window(self, pid: int, drain: _Drain) -> dict[str, Any]:
        before_s, began_s = counters.cpu_clock_s(pid) or 0.0, time.monotonic()
        time.sleep(self._plan.span_s / 2)
        cores = ((counters.cpu_clock_s(pid) or 0.0) - before_s) / (time.monotonic() - began_s)
        return {"cores": round(cores, 4), **drain.figures()}

    def _stalled(self) -> None:
        without = next((each for each in self.rows if each["clients"] == _BESIDE), None)
        without = without or self._wall(_BESIDE)
        row, case = self._wall(_BESIDE, _STALLED), "one that does not read"
        self.score.add(Goal(case, "memory", "MiB", 2.0), (row["mib"] - without["mib"]) / _STALLED)
        frames = Goal(case, "frames per second of the others", "", FPS - 1, True)
        self.score.add(frames, row["fps_worst"])

    def _peers(self) -> None:
        """The whole work for ten browsers, from the clip on: broker not counted."""
        for name in ("wall", "mjpeg", "webgear"):
            if name == "webgear" and self._plan.webgear is None:
                continue
            port = free_ports(1)[0]
            with Fleet(self._results / f"peer-{name}") as fleet:
                started = [fleet.start(*each) for each in self._commands(name, port)]
                wait_for(f"port {port}", partial(_listens, port), fleet, _START_S)
                path = "ws" if name == "wall" else "video"
                with _Drain(f"http://127.0.0.1:{port}/{path}", _PEER_CLIENTS, self._plan.span_s) as drain:
                    time.sleep(_SETTLE_S)
                    before_s, began_s = counters.cpu_s(p.pid for p in started), time.monotonic()
                    time.sleep(self._plan.span_s / 2)
                    used_s = counters.cpu_s(p.pid for p in started) - before_s
                    cores = used_s / (time.monotonic() - began_s)
                    row: dict[str, Any] = {
                        "case": f"peer: {name}",
                        "clients": _PEER_CLIENTS,
                        "cores": round(cores, 3),
                    }
                    try:
                        row |= drain.figures()
                    except RunFailed as error:  # WebGear has ended connections of clients
                        self._show(f"bench: {name} is left out: {error}")
                        continue
                self._keep(row)
            case = f"{_PEER_CLIENTS} browsers, {name}"
            self.score.add(Goal(case, "cores, decoding and encoding included", ""), row["cores"])
            self.score.add(Goal(case, "MB/s to all clients", ""), row["mb_per_s"])
            self.score.add(Goal(case, "frames per second, worst", ""), row["fps_worst"])

    def _commands(self, name: str, port: int) -> list[tuple[str, list[str]]]:
        if name == "webgear":
            script = str(CHECKOUT / "scripts" / "measure" / "peers" / "webgear.py")
            return [(name, [self._plan.webgear or "", script, str(self._clip), str(port)])]
        if name == "mjpeg":
            return [(name, self._python("scripts.measure.peers.mjpeg_server", self._clip, port))]
        where = ("--url", self._url)
        return [
            ("producer", self._python("producer", *where, "--source", self._clip)),
            ("wall", self._python("consumer.wall", *where, "--streams", "cam", "--listen", f":{port}")),
        ]

    def _python(self, module: str, *arguments: object) -> list[str]:
        return [sys.executable, "-m", module, *map(str, arguments)]

    def _keep(self, row: dict[str, Any]) -> dict[str, Any]:
        self._show(json.dumps(row))
        self.rows.append(row)
        (self._results / "web.json").write_text(json.dumps(self.rows, indent=1) + "\n")
        return row


def _listens(port: int) -> bool:
    return not is_free(port)


class _Drain:
    """A process with clients that only read; it goes on until the end of the block."""

    def __init__(self, url: str, clients: int, span_s: float, stalled: int = 0) -> None:
        command = [
            sys.executable, "-m", "scripts.measure.web_drain", url, str(clients), str(span_s),
            "--stalled", str(stalled),
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        )  # fmt: skip

    def figures(self) -> dict[str, Any]:
        """What it has measured, once it has."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RunFailed("web_drain printed nothing")
        return {name: value and round(value, 3) for name, value in json.loads(line).items()}

    def __enter__(self) -> _Drain:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()
