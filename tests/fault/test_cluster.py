"""A cluster of three that loses nodes, and a stream that goes on: killed, restarted one by one, cut off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts.private_cluster import PrivateCluster, missing_for_cut
from tests.support.broker import require_rabbitmq
from tests.support.clustered import Clustered, Log, Moment, clustered
from tests.support.timing import scaled, wait_until

# From the kill, the signal to stop, or the cut: what it takes to notice (net_ticktime) included.
RECOVERY_S = 5.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[PrivateCluster]:
    require_rabbitmq()
    cluster = PrivateCluster()
    cluster.start(scaled(90))
    yield cluster
    cluster.stop()


@pytest.fixture
def stream_on(cluster: PrivateCluster, stream: str) -> Iterator[Clustered]:
    """A producer at the first node, a watcher at each; nothing wrong with any frame."""
    for node in cluster.nodes:
        if not node.answers():  # after a test that failed
            node.restart(timeout_s=scaled(60))
    ports = [node.port for node in cluster.nodes]
    with Log() as log, clustered(cluster.url, ports, stream, log) as running:
        placed = {client: len(log.moves(client)) for client in running.clients}
        yield running
        assert running.wrong() == []
        for watcher, client in zip(running.watchers, running.clients[1:], strict=True):
            moves = running.log.moves(client)
            assert watcher.consumer.stats().reconnects == len(moves) - placed[client]


def check(running: Clustered, moment: Moment) -> None:
    """Clients of that node go on at another, in time; the others stay where they are."""
    running.wait_moved(moment)
    running.wait_flow()
    assert max(running.recovered_s(moment)) < scaled(RECOVERY_S), running.log.text
    assert running.strayed(moment) == {}, running.log.text


def test_nodes_killed(cluster: PrivateCluster, stream_on: Clustered) -> None:
    """That of the producer, and one that only has a consumer; the third is like the second."""
    for node in cluster.nodes[:2]:
        moment = stream_on.moment(node.port)
        node.kill()
        check(stream_on, moment)
        node.restart(timeout_s=scaled(60))


def test_rolling_restart(cluster: PrivateCluster, stream_on: Clustered) -> None:
    for node in cluster.nodes:
        moment = stream_on.moment(node.port)
        node.restart(timeout_s=scaled(60))
        check(stream_on, moment)


@pytest.mark.parametrize("from_clients", [False, True], ids=["from the others", "from everybody"])
def test_node_cut_off(cluster: PrivateCluster, stream_on: Clustered, from_clients: bool) -> None:
    """The node of the producer: it accepts frames until it knows, and no consumer gets them."""
    problem = missing_for_cut()
    if problem is not None:
        pytest.skip(problem)
    node = cluster.nodes[0]
    moment = stream_on.moment(node.port)
    assert len(moment.there) == 2
    with cluster.cut_off(0, from_clients=from_clients):
        check(stream_on, moment)
        assert max(stream_on.recovered_s(moment)) > 1.0, "nothing was cut"
    wait_until(node.answers, 30, "the node is back")
