"""How long a stream is gone when a cluster loses a node: the figures of docs/reliability-cluster.md.

python -m tests.support.cluster_figures --repeat 10
"""

from __future__ import annotations

import argparse
import secrets
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from scripts.private_cluster import PrivateCluster, missing_for_cut
from tests.support.clustered import Clustered, Log, Moment, clustered
from tests.support.timing import wait_until


@contextmanager
def killed(cluster: PrivateCluster, number: int) -> Iterator[None]:
    cluster.nodes[number].kill()
    yield
    cluster.nodes[number].restart()


@contextmanager
def restarted(cluster: PrivateCluster, number: int) -> Iterator[None]:
    cluster.nodes[number].restart()
    yield


@contextmanager
def cut_off(cluster: PrivateCluster, number: int) -> Iterator[None]:
    with cluster.cut_off(number):
        yield
        wait_until(lambda: not cluster.nodes[number].answers(0.5), 15, "the node pauses")
    wait_until(lambda: cluster.nodes[number].answers(0.5), 30, "the node is back")


@contextmanager
def unreachable(cluster: PrivateCluster, number: int) -> Iterator[None]:
    with cluster.cut_off(number, from_clients=True):
        yield
        # It pauses as well, unseen: a line that is mended before that gives another figure.
        time.sleep(3)
    wait_until(lambda: cluster.nodes[number].answers(0.5), 30, "the node is back")


@contextmanager
def suspended(cluster: PrivateCluster, number: int) -> Iterator[None]:
    cluster.nodes[number].suspend()
    yield
    # Resumed, it would go on in a part of its own: docs/reliability-cluster.md.
    cluster.nodes[number].kill()
    cluster.nodes[number].restart()


FAULTS = {
    "kill -9": killed,
    "restart": restarted,
    "cut off": cut_off,
    "unreachable": unreachable,
    "suspended": suspended,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--fault", choices=FAULTS, action="append")
    options = parser.parse_args()
    names = options.fault or list(FAULTS)
    if missing_for_cut() is not None:
        names = [name for name in names if name not in ("cut off", "unreachable")]
    with PrivateCluster() as cluster:
        for name in names:
            figures(cluster, name, options.repeat)


def figures(cluster: PrivateCluster, name: str, repeat: int) -> None:
    """Print one row for the node of the producer, one for another."""
    ports = [node.port for node in cluster.nodes]
    rows: dict[str, list[float]] = {"the producer's": [], "another": []}
    for turn in range(repeat):
        for whose, number in (("the producer's", 0), ("another", 1 + turn % 2)):
            stream = f"figures-{secrets.token_hex(4)}"
            with Log() as log, clustered(cluster.url, ports, stream, log) as running:
                # A connection that has only just come to stand is looked at with suspicion.
                running.wait_flow(45)
                moment = running.moment(cluster.nodes[number].port)
                with FAULTS[name](cluster, number):
                    seen = recovery_s(running, moment)
                rows[whose] += seen
                wrong = running.wrong()
                if wrong:
                    say("\n".join([*wrong, log.text]))
    for whose, taken_s in rows.items():
        say(
            f"| {name} | {whose} | {len(taken_s)} | {statistics.median(taken_s):.2f} | "
            f"{sorted(taken_s)[int(len(taken_s) * 0.9)]:.2f} | {max(taken_s):.2f} |"
        )


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def recovery_s(running: Clustered, moment: Moment) -> list[float]:
    """Of the watchers that the fault concerns: theirs is the node, or that of the producer."""
    wait_until(lambda: all(running.log.port(c) != moment.port for c in moment.there), 60, "all leave")
    running.wait_flow()
    producer, *clients = running.clients
    taken_s = zip(clients, running.recovered_s(moment), strict=True)
    return [seconds for client, seconds in taken_s if producer in moment.there or client in moment.there]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
