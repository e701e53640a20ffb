"""Wall clocks that are set by an hour while frames flow: the producer's, the consumers', or both."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

import av
import pytest

from scripts.lib.fault_control import FaultControl
from tests.support.broker import tcp_url
from tests.support.commands import Command, running
from tests.support.fault_stream import HANDOVER_S, MAX_AGE_S
from tests.support.shown import Presented, longest_pause_s, presented
from tests.support.timing import scaled, wait_until

HOUR = 3600.0
FPS = 30
RECOVERY_S = 2.0
# Frames that must have come before a step is looked at: enough for one of 40 ms a frame to come to rest.
FLOW = 12
STEPPED = "scripts.lib.fault_control"


@dataclass
class Scene:
    """One stream: a producer, and consumers of both kinds of playout, each with its trace."""

    folder: Path
    url: str
    hub: bool = False
    commands: list[Command] = field(default_factory=list)
    traces: dict[str, Path] = field(default_factory=dict)

    def start(self, stack: ExitStack, stream: str, producer_clock: Path, consumer_clock: Path) -> None:
        def run(clock: Path, role: str, *flags: str) -> None:
            where = ("--url", self.url, "--stream", f"{stream}-{self.folder.name}")
            self.commands.append(stack.enter_context(running(STEPPED, str(clock), role, *where, *flags)))

        run(producer_clock, "producer", "--size", "160x90", "--fps", str(FPS))
        self.commands[0].wait_line("connected" if "amqp" in self.url else "listening")
        if self.hub:
            run(consumer_clock, "consumer", "--name", "hub", "--sink", "share", "--max-age", "500ms")
        for playout in ("latest", "sync"):
            trace = self.folder / f"{playout}.csv"
            self.traces[playout] = trace
            sinks = ["--sink", f"trace:{trace}"]
            if playout == "latest":
                sinks += ["--sink", f"record:{self.folder / 'all.mkv'}"]
            run(consumer_clock, "consumer", "--name", playout, "--playout", playout, *sinks)

    def frames(self, playout: str) -> list[Presented]:
        return presented(self.traces[playout], time.time())

    def flowing(self, since_s: float) -> bool:
        return all(
            len([frame for frame in self.frames(playout) if frame.at_s > since_s]) >= FLOW
            for playout in self.traces
        )


@contextmanager
def streaming(scenes: list[Scene], stream: str, clocks: tuple[Path, Path]) -> Iterator[None]:
    with ExitStack() as stack:
        for scene in scenes:
            scene.folder.mkdir()
            scene.start(stack, stream, *clocks)
        wait_until(partial(_all_flow, scenes, 0.0), 40, "frames are presented")
        yield
        for scene in scenes:
            for command in reversed(scene.commands):
                command.process.terminate()
                assert command.wait(10) == 0, command.err.text


def check(scene: Scene, steps: list[tuple[str, float]], began_s: float, flowed_s: float) -> None:
    """Fresh, in order, without a pause. Frames came for `flowed_s` at least, and none before `began_s`."""
    for playout in scene.traces:
        frames = scene.frames(playout)
        ages = [frame.age_s for frame in frames]
        assert max(ages) <= MAX_AGE_S + HANDOVER_S, (playout, max(ages))
        assert min(ages) >= -0.02, (playout, min(ages))
        assert all(first.seq < later.seq for first, later in pairwise(frames)), playout
        for what, at_s in steps:
            pause_s = longest_pause_s([f for f in frames if f.at_s < at_s + scaled(4)], at_s)
            assert pause_s < scaled(RECOVERY_S), (scene.url, playout, what, pause_s)
    with av.open(str(scene.folder / "all.mkv")) as recording:
        times = [float(p.pts * p.time_base) for p in recording.demux(video=0) if p.pts is not None]
    assert times == sorted(set(times))
    assert flowed_s / 2 < times[-1] < time.time() - began_s + 2, "the recording is as long as it took"


@pytest.mark.parametrize("design", ["broker", pytest.param("brokerless", marks=pytest.mark.brokerless)])
def test_frames_stay_fresh_when_a_wall_clock_is_set_by_an_hour(
    design: str, request: pytest.FixtureRequest, stream: str, tmp_path: Path
) -> None:
    if design == "broker":
        url = request.getfixturevalue("broker_url")
        scenes = [Scene(tmp_path / "plain", url), Scene(tmp_path / "hub", url, hub=True)]
    else:
        scenes = [Scene(tmp_path / design, tcp_url(design)) for design in ("threads", "multiplex")]
    producer, consumer = tmp_path / "producer-clock", tmp_path / "consumer-clock"
    for file in (producer, consumer):
        FaultControl(file).close()  # there before several processes map it
    steps: list[tuple[str, float]] = []
    began_s = time.time()
    with streaming(scenes, stream, (producer, consumer)):
        flow_s = time.time()
        for what, clocks, offset_s in [
            ("producer +1 h", [producer], HOUR),
            ("producer -1 h", [producer], 0.0),
            ("consumer -1 h", [consumer], -HOUR),
            ("consumer +1 h", [consumer], 0.0),
            ("both -1 h", [producer, consumer], -HOUR),
            ("both +1 h", [producer, consumer], 0.0),
        ]:
            now_s = time.time()
            steps.append((what, now_s))
            for file in clocks:
                FaultControl(file).clock_offset_ns = round(offset_s * 1e9)
            wait_until(partial(_all_flow, scenes, now_s), 20, f"frames after {what}")
        flowed_s = time.time() - flow_s
    for scene in scenes:
        check(scene, steps, began_s, flowed_s)
        for command in scene.commands:
            assert "Traceback" not in command.err.text
            assert len(command.err.lines) < 12, command.err.text


def _all_flow(scenes: list[Scene], since_s: float) -> bool:
    return all(scene.flowing(since_s) for scene in scenes)
