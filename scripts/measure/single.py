"""`bench.py single`: latency, start-up, joins and memory of one producer and one consumer.

Everything is read from outside: traces that the consumer writes, and /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pika

from fanlight.consumer import Consumer
from scripts.measure.clip import SOURCE
from scripts.measure.counters import cpu_s, memory_kib
from scripts.measure.processes import Fleet

MEMORY_COLUMNS = (
    "elapsed_s",
    "producer_pss_kib",
    "producer_anonymous_kib",
    "consumer_pss_kib",
    "consumer_anonymous_kib",
)
# Two runs on one broker do not share a stream.
STREAM = f"bench-{os.getpid()}"


@contextlib.contextmanager
def command(results: Path, module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of the two commands as a process; ended on the way out."""
    with Fleet(results) as fleet:
        yield fleet.start(module, [sys.executable, "-m", module, *arguments])


def producer_arguments(arguments: argparse.Namespace) -> list[str]:
    return ["--url", arguments.url, "--stream", STREAM, "--source", str(SOURCE), "--loop", "--fps", "30"]


def consumer_arguments(arguments: argparse.Namespace, trace: Path) -> list[str]:
    where = ["--url", arguments.url, "--stream", STREAM, "--name", "c1"]
    return [*where, "--sink", "null", "--sink", f"trace:{trace}"]


def rows(trace: Path) -> list[dict[str, str]]:
    if not trace.exists():
        return []
    with trace.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["event"]]


def first(trace: Path, column: str, timeout_s: float = 20.0) -> int:
    """The first value in a column of a trace that is being written, Unix ns."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        values = [int(row[column]) for row in rows(trace) if row[column]]
        if values:
            return values[0]
        time.sleep(0.1)
    raise SystemExit(f"bench: no frame in {timeout_s:g} s")


def start_up(arguments: argparse.Namespace, results: Path) -> dict[str, list[float]]:
    """Seconds from the start of a process to its first frame."""
    picture_s, published_s = [], []
    for repeat in range(arguments.repeats):
        early, late = results / f"start-{repeat}-a.csv", results / f"start-{repeat}-b.csv"
        with command(results, "consumer", *consumer_arguments(arguments, early)):
            time.sleep(2.0)  # The consumer is to be waiting when the producer starts.
            began_ns = time.time_ns()
            with command(results, "producer", *producer_arguments(arguments)):
                published_s.append((first(early, "received_ns") - began_ns) / 1e9)
                began_ns = time.time_ns()
                with command(results, "consumer", *consumer_arguments(arguments, late)):
                    picture_s.append((first(late, "presented_ns") - began_ns) / 1e9)
        sys.stdout.write(
            f"start-up {repeat + 1}/{arguments.repeats}: first frame published after "
            f"{published_s[-1]:.2f} s, first picture after {picture_s[-1]:.2f} s\n"
        )
    return {"first_published_s": published_s, "first_picture_s": picture_s}


def joins(arguments: argparse.Namespace, results: Path) -> dict[str, list[float]]:
    """Milliseconds until a joining consumer has its first picture: mid-stream, and out of idleness.

    `wake_ms` is the time from binding a queue, and nothing else, to the first frame in it.
    """
    mid_stream_ms, idle_ms, wake_ms = [], [], []
    with command(results, "producer", *producer_arguments(arguments)):
        _first_picture_ms(arguments)
        for _ in range(arguments.repeats * 4):
            idle_ms.append(_first_picture_ms(arguments))
            wake_ms.append(_wake_ms(arguments))
        with Consumer(STREAM, "stays", url=arguments.url) as stays:
            stays.read(20.0)
            for _ in range(arguments.repeats * 4):
                # The producer answers one keyframe request in 500 ms: ask at arbitrary moments.
                time.sleep(0.7)
                mid_stream_ms.append(_first_picture_ms(arguments))
    return {"join_mid_stream_ms": mid_stream_ms, "join_idle_ms": idle_ms, "wake_ms": wake_ms}


def _first_picture_ms(arguments: argparse.Namespace) -> float:
    began = time.perf_counter()
    with Consumer(STREAM, "joins", url=arguments.url) as consumer:
        if consumer.read(20.0) is None:
            raise SystemExit("bench: no picture in 20 s")
        return (time.perf_counter() - began) * 1e3


def _wake_ms(arguments: argparse.Namespace) -> float:
    connection = pika.BlockingConnection(pika.URLParameters(arguments.url))
    try:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        time.sleep(0.3)  # The producer is to be idle again.
        began = time.perf_counter()
        channel.queue_bind(queue, f"fanlight.{STREAM}")
        for _method, properties, _body in channel.consume(queue, auto_ack=True):
            if properties is not None and properties.content_type.startswith("video/"):
                return (time.perf_counter() - began) * 1e3
    finally:
        connection.close()
    raise SystemExit("bench: the queue was closed")


def steady(arguments: argparse.Namespace, results: Path) -> dict[str, object]:
    """Latency, CPU and memory over the given minutes, the first second left out."""
    trace = results / "steady.csv"
    memory: list[tuple[float, int, int, int, int]] = []
    with (
        command(results, "producer", *producer_arguments(arguments)) as producer,
        command(results, "consumer", *consumer_arguments(arguments, trace)) as consumer,
    ):
        first(trace, "presented_ns")
        began = time.monotonic()
        used = (cpu_s([producer.pid]), cpu_s([consumer.pid]))
        while (elapsed := time.monotonic() - began) < arguments.minutes * 60:
            memory.append((elapsed, *memory_kib(producer.pid), *memory_kib(consumer.pid)))
            time.sleep(1.0)
        cpu = [(cpu_s([p.pid]) - u) / elapsed for p, u in zip((producer, consumer), used, strict=True)]
    with (results / "memory.csv").open("w", newline="") as file:
        csv.writer(file).writerows([MEMORY_COLUMNS, *memory])
    presented = [row for row in rows(trace) if row["event"] == "presented"][30:]
    ages_ms = sorted((int(r["presented_ns"]) - int(r["capture_ns"])) / 1e6 for r in presented)
    span_s = (int(presented[-1]["presented_ns"]) - int(presented[0]["presented_ns"])) / 1e9
    settled = [m for m in memory if m[0] >= 60] or memory[len(memory) // 2 :]
    return {
        "frames": len(presented),
        "fps": (len(presented) - 1) / span_s,
        "latency_p50_ms": ages_ms[len(ages_ms) // 2],
        "latency_p99_ms": ages_ms[int(len(ages_ms) * 0.99)],
        "cores": {"producer": cpu[0], "consumer": cpu[1]},
        "pss_mib": {"producer": settled[-1][1] / 1024, "consumer": settled[-1][3] / 1024},
        "anonymous_growth_mib_per_10_min": {
            "producer": _growth_mib_per_10_min(settled, 2),
            "consumer": _growth_mib_per_10_min(settled, 4),
        },
    }


def _growth_mib_per_10_min(memory: list[tuple[float, int, int, int, int]], column: int) -> float:
    """From the median of the first tenth to that of the last, over the time between them."""
    tenth = max(1, len(memory) // 10)
    first_kib = statistics.median(row[column] for row in memory[:tenth])
    last_kib = statistics.median(row[column] for row in memory[-tenth:])
    span_s = memory[-1][0] - memory[0][0]
    return (last_kib - first_kib) / 1024 * 600 / max(span_s, 1e-9)


def run(arguments: argparse.Namespace, results: Path) -> dict[str, object]:
    """All figures of one producer and one consumer on `arguments.url`."""
    report: dict[str, object] = {}
    if arguments.repeats:
        starts = start_up(arguments, results)
        report["start_up"] = starts
        report["joins"] = joined = joins(arguments, results)
        report["joins_median_and_worst"] = {n: (statistics.median(v), max(v)) for n, v in joined.items()}
        report["start_up_median"] = {name: statistics.median(values) for name, values in starts.items()}
    report["steady"] = steady(arguments, results)
    return report
