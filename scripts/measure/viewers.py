"""`bench.py viewers`: twenty viewers on two cores, ours and the peers in turn on the same clip.

Each case measures one row of the table in docs/performance.md and says what it has to reach.
"""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from scripts.lib.instance import CHECKOUT
from scripts.measure import designs, hosts
from scripts.measure.counters import cpu_s, memory_kib
from scripts.measure.goals import Goal
from scripts.measure.processes import RunFailed
from scripts.measure.runs import Running
from scripts.measure.study import HOLDS_FPS, SYNC, Study
from scripts.measure.traces import at

MAX_AGE_MS: Final = 500.0
CLOCK_OFFSET_NS: Final = 80_000_000
_STOPPED_S: Final = 30.0


def codec_work(study: Study) -> None:
    """The floor: one encode and N decodes to BGR in one process."""
    work = _floor("codec", str(study.clip), str(study.viewers), "300")
    study.floor_cores = (work["encode_ms"] + study.viewers * work["decode_ms"]) * 30 / 1e3
    study.score.add(Goal("codec work alone", "encode", "ms"), work["encode_ms"])
    study.score.add(Goal("codec work alone", "decode to BGR", "ms"), work["decode_ms"])
    study.score.add(Goal("codec work alone", "for all viewers", "cores"), study.floor_cores)


def gstreamer(study: Study) -> None:
    case = f"GStreamer x {study.viewers}"
    result = study.run(case, designs.gstreamer(), study.viewers, study.clip)
    study.fps_and_cores(case, result)


def h264(study: Study) -> None:
    """The main case. Runs after GStreamer and the codec work, to which it is compared."""
    case = f"Fanlight H.264 x {study.viewers}"
    result = study.run(case, designs.fanlight("fanlight"), study.viewers, study.clip)
    study.fps_and_cores(case, result, worst=HOLDS_FPS)
    study.latency(case, result, 30, 80)
    add = study.score.add
    add(Goal(case, "PSS per consumer", "MiB", 30), statistics.median(result.pss_mib))
    study.skew(case, result)
    add(Goal(case, "broker", "cores"), result.cores["broker"])
    peer = study.kept.get(f"GStreamer x {study.viewers}")
    if peer is not None:
        ratio = result.cores["total"] / peer.cores["total"]
        add(Goal(case, "CPU, ratio to GStreamer", "", 0.80), ratio)
    add(Goal(case, "CPU, ratio to codec work", "", 1.25), result.cores["total"] / study.floor_cores)


def sync(study: Study) -> None:
    case = f"Fanlight sync x {study.viewers}"
    result = study.run(case, designs.fanlight("sync", playout=SYNC), study.viewers, study.clip)
    study.fps_and_cores(case, result, worst=HOLDS_FPS)
    study.skew(case, result, 2, 15)


def clocks(study: Study) -> None:
    """Four consumers in step, the first of them with a wall clock that is 80 ms ahead."""

    def start(number: int) -> tuple[str, ...]:
        other = ("-m", "scripts.lib.fault_control", str(CLOCK_OFFSET_NS), "consumer")
        return other if number == 0 else ("-m", "consumer")

    case = "Fanlight sync x 4, one clock 80 ms ahead"
    design = designs.fanlight("clocks", playout=SYNC, start=start)
    result = study.run(case, design, 4, study.clip, offsets_ns={0: CLOCK_OFFSET_NS})
    others = {s.seq: s.presented_ns for shown in result.shown[1:] for s in shown}
    apart = [abs(s.presented_ns - others[s.seq]) / 1e6 for s in result.shown[0] if s.seq in others]
    study.fps_and_cores(case, result, worst=HOLDS_FPS)
    study.score.add(Goal(case, "out of step p50", "ms", 10), at(apart, 0.5))
    study.score.add(Goal(case, "out of step p99", "ms", 10), at(apart, 0.99))


def paired(study: Study) -> None:
    """The main case beside the commit before, in turn."""
    if study.before is None:
        raise RunFailed("h264-paired needs --before DIR")
    results = {}
    for name, checkout in (("before", study.before), ("now", None)):
        design = designs.fanlight(f"h264-{name}", checkout=checkout)
        results[name] = study.run(f"{name}, H.264 x {study.viewers}", design, study.viewers, study.clip)
        case = f"{name}, H.264 x {study.viewers}"
        study.fps_and_cores(case, results[name])
        study.score.add(Goal(case, "CPU, consumers", "cores"), results[name].cores["consumers"])
        pss = statistics.median(results[name].pss_mib)
        study.score.add(Goal(case, "PSS per consumer", "MiB", 31 if name == "now" else None), pss)
    ratio = results["now"].cores["consumers"] / results["before"].cores["consumers"]
    study.score.add(Goal("H.264, paired", "CPU of consumers, ratio to before", "", 1.03), ratio)


def overload(study: Study) -> None:
    """More decoders than the machine has processors for: `sync` is to bend as `latest` does."""
    viewers = study.viewers + study.viewers // 2
    rates = {}
    for name, playout in (("latest", ()), ("sync", SYNC)):
        case = f"overload, {name} x {viewers}"
        result = study.run(case, designs.fanlight(f"overload-{name}", playout=playout), viewers, study.clip)
        rates[name] = statistics.median(result.figures.fps)
        study.score.add(Goal(case, "fps, median", "fps"), rates[name])
        study.score.add(Goal(case, "age, worst frame", "ms", MAX_AGE_MS), result.figures.age_ms[2])
        study.skew(case, result)
        study.score.add(Goal(case, "off the median p50", "ms"), result.figures.off_median_ms[0])
    ratio = rates["sync"] / rates["latest"]
    study.score.add(Goal("overload", "frames of sync, ratio to latest", "", 0.9, at_least=True), ratio)


def single(study: Study) -> None:
    case = "Fanlight H.264 x 1"
    result = study.run(case, designs.fanlight("single"), 1, study.clip)
    study.latency(case, result, 11, 20)


def jpeg(study: Study) -> None:
    for viewers, least in ((10, None), (20, 15.0)):
        case = f"Fanlight JPEG x {viewers}"
        result = study.run(case, designs.fanlight("jpeg", codec="jpeg"), viewers, study.clip)
        study.fps_and_cores(case, result, worst=least)
        study.score.add(Goal(case, "age, worst frame", "ms", MAX_AGE_MS), result.figures.age_ms[2])


def slow(study: Study) -> None:
    """One consumer that takes 100 ms for every frame, beside five that do not; and six that do not."""
    alone = study.run("Fanlight x 6", designs.fanlight("six"), 6, study.clip)
    design = designs.fanlight("slow", extra=lambda n: ("--work", "100ms") if n == 0 else ())
    result = study.run("Fanlight x 6, one slow", design, 6, study.clip)
    ages = [s.age_ms for s in result.shown[0]]
    add = study.score.add
    add(Goal("one slow of 6", "its frames' age p50", "ms", 60), at(ages, 0.5))
    add(Goal("one slow of 6", "its frames' age p99", "ms", 150), at(ages, 0.99))
    others = [s.age_ms for shown in result.shown[1:] for s in shown]
    add(
        Goal("one slow of 6", "others: fps, worst", "fps", HOLDS_FPS, at_least=True),
        min(result.figures.fps[1:]),
    )
    add(Goal("one slow of 6", "others: age p99", "ms"), at(others, 0.99))
    add(Goal("six, none slow", "age p99", "ms"), alone.figures.age_ms[1])


def stopped(study: Study) -> None:
    """SIGSTOP for 30 s, then SIGCONT, beside five others."""
    samples: list[tuple[float, float, float]] = []
    continued_ns = [0]

    def stop_and_continue(running: Running) -> None:
        running.consumers[0].send_signal(signal.SIGSTOP)
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < _STOPPED_S:
            broker = sum(memory_kib(pid)[0] for pid in running.broker) / 1024
            samples.append((elapsed, broker, memory_kib(running.producer.pid)[0] / 1024))
            time.sleep(1.0)
        continued_ns[0] = time.time_ns()
        running.consumers[0].send_signal(signal.SIGCONT)

    case = "one of 6 stopped for 30 s"
    design = designs.fanlight("stopped")
    result = study.run(case, design, 6, study.clip, span_s=_STOPPED_S + 6, during=stop_and_continue)
    back = [s for s in result.shown[0] if s.presented_ns > continued_ns[0]]
    ages = [s.age_ms for s in back]
    add = study.score.add
    fresh_ms = (back[0].presented_ns - continued_ns[0]) / 1e6 if back else float("inf")
    add(Goal(case, "fresh after", "ms", 1000), fresh_ms)
    add(Goal(case, "its oldest frame afterwards", "ms", MAX_AGE_MS), max(ages, default=float("inf")))
    add(Goal(case, "others: fps, worst", "fps", HOLDS_FPS, at_least=True), min(result.figures.fps[1:]))
    for column, what in ((1, "broker"), (2, "producer")):
        values = [sample[column] for sample in samples]
        growth = statistics.median(values[-5:]) - statistics.median(values[:5])
        add(Goal(case, f"{what} memory growth", "MiB", 2 if what == "producer" else 16), growth)


def idle(study: Study) -> None:
    """Nobody watches: what the producer takes beyond reading its source."""
    seconds = max(10.0, study.bench.span_s)
    capture = _floor("capture", str(study.clip), str(seconds))
    design = designs.fanlight("idle")
    place = designs.Place(study.bench.node.url, 0, study.clip, study.bench.folder)
    process = subprocess.Popen(design.producer(place), cwd=CHECKOUT, stderr=subprocess.DEVNULL)
    try:
        time.sleep(3.0)
        used = cpu_s([process.pid])
        time.sleep(seconds)
        cores = (cpu_s([process.pid]) - used) / seconds
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(10)
    study.score.add(Goal("nobody watching", "capture alone", "cores"), capture)
    study.score.add(Goal("nobody watching", "producer beyond capture", "cores", 0.05), cores - capture)


def most_viewers(study: Study) -> None:
    for name, clip, first, step in (("720p", study.clip, 20, 2), ("360p", study.small_clip(), 30, 5)):
        study.most(
            f"Fanlight {name}",
            f"H.264 {name}",
            designs.fanlight(f"most-{name}"),
            clip,
            first=first,
            step=step,
        )


def peers(study: Study) -> None:
    for design in (
        designs.imagezmq("imagezmq", newest=False),
        designs.imagezmq("imagezmq newest", newest=True),
        designs.tutorial(),
    ):
        case = f"{design.name} x {study.viewers}"
        result = study.run(case, design, study.viewers, study.clip)
        study.fps_and_cores(case, result)
        study.latency(case, result)


CASES: Final[dict[str, Callable[[Study], None]]] = {
    "codec": codec_work,
    "gstreamer": gstreamer,
    "h264": h264,
    "h264-paired": paired,
    "overload": overload,
    "sync": sync,
    "clocks": clocks,
    "single": single,
    "jpeg": jpeg,
    "slow": slow,
    "stopped": stopped,
    "idle": idle,
    "peers": peers,
    "most": most_viewers,
    "hub": hosts.viewers,
    "hub-paired": hosts.paired,
    "hub-looking": hosts.pixel_readers,
    "hub-sync": hosts.sync,
    "hub-1080p60": hosts.large,
    "hub-most": hosts.most,
}
# What `--via` stands for if no cases are named.
USUAL: Final = {
    "broker": tuple(name for name in CASES if not name.startswith("hub") and "paired" not in name),
    "host": ("gstreamer", "h264", "hub", "hub-looking", "hub-sync", "hub-1080p60", "peers", "hub-most"),
}


def _floor(*arguments: str) -> Any:
    command = [sys.executable, "-m", "scripts.measure.floors", *arguments]
    return json.loads(subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=True).stdout)
