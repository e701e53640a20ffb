"""Results of detectors beside a broker that is killed, and detectors that are replaced."""

from __future__ import annotations

from fanlight.common.clock import wall_ns
from fanlight.consumer import Consumer
from scripts.private_node import PrivateNode
from tests.support.detecting import SYNC, detector, read, read_until
from tests.support.marked_stream import Marking
from tests.support.timing import scaled


def test_results_come_back_with_the_broker_and_with_another_detector(
    node: PrivateNode, stream: str
) -> None:
    with (
        Marking(node.url, stream),
        Consumer(stream, "w", url=node.url, via="broker", results=["faces"], **SYNC) as consumer,
    ):
        with detector(node.url, stream):
            read(consumer, 3)
            node.kill()
            node.start(scaled(60))
            returned_ns = wall_ns()
            read_until(consumer, lambda frames: frames and frames[-1].capture_ns > returned_ns)
            read(consumer, 3)
        read_until(consumer, lambda frames: frames and not frames[-1].results)
        with detector(node.url, stream):
            read(consumer, 3)
        assert consumer.stats().reconnects == 1
