"""A pool whose broker is killed: every member is back, and no frame is too old."""

from __future__ import annotations

from scripts.private_node import PrivateNode
from tests.support.fault_stream import MAX_AGE_S, RECOVERY_S
from tests.support.pools import Blocks, Worker, pool_queue, taken, wait_all_work
from tests.support.timing import scaled, wait_until


def test_broker_killed_and_back(node: PrivateNode, stream: str) -> None:
    jpeg, h264 = f"{stream}-jpeg", f"{stream}-h264"
    with (
        Blocks(node.url, jpeg, codec="jpeg"),
        Blocks(node.url, h264, codec="h264"),
        Worker(node.url, jpeg) as one,
        Worker(node.url, jpeg) as busy,
        Worker(node.url, h264) as other,
    ):
        workers = [one, busy, other]
        wait_all_work(workers)
        busy.busy(True)
        wait_until(lambda: busy.has_frame, 15, "it is busy")
        node.kill()
        node.restart(timeout_s=scaled(60))
        for worker in (one, other):
            worker.wait_flow(RECOVERY_S)
        busy.busy(False)  # what it has done meanwhile concerns a connection that is gone
        wait_all_work(workers)
        assert [fault for worker in workers for fault in worker.faults(MAX_AGE_S)] == []
        assert max(taken(workers).values()) <= 2, "a frame that was on its way may come again, to another"
        for name, members in ((jpeg, 2), (h264, 1)):
            queue = pool_queue(node.url, name)
            assert queue is not None
            assert queue.members == members
