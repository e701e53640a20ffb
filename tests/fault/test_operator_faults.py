"""What an operator, or a script, may do to a broker that is in use: purge, unbind, fill, wipe."""

from __future__ import annotations

import pytest

from fanlight.common.transport.amqp import topology
from scripts.private_node import VHOST, PrivateNode
from tests.support.fault_stream import MAX_AGE_S, RECOVERY_S, only_queue, streaming
from tests.support.timing import scaled, wait_until

_ENOUGH = {"set_vm_memory_high_watermark": "0.4", "set_disk_free_limit": "50MB"}


def test_queue_purged(node: PrivateNode, stream: str) -> None:
    """Frames that were on their way are gone; those after them come, and nothing is out of order."""
    with streaming(node, stream) as (_, watcher):
        queue = only_queue(node)
        node.ctl("purge_queue", "-p", VHOST, queue)
        watcher.wait_flow(RECOVERY_S)
        assert watcher.consumer.stats().reconnects == 0


def test_queue_unbound(node: PrivateNode, stream: str) -> None:
    """The queue is there and silent: the consumer has to find out by itself, and to bind it again."""
    with streaming(node, stream) as (_, watcher):
        queue = only_queue(node)
        # Exclusive queues are closed to other connections: what the console's button does, done by hand.
        source, target = (
            f'rabbit_misc:r(<<"{VHOST}">>, {kind}, <<"{name}">>)'
            for kind, name in (("exchange", topology.exchange(stream)), ("queue", queue))
        )
        bindings = f"rabbit_binding:list_for_source_and_destination({source}, {target})"
        removed = node.ctl("eval", f'[rabbit_binding:remove(B, <<"test">>) || B <- {bindings}].')
        assert "ok" in removed
        watcher.wait_flow(RECOVERY_S)
        assert watcher.consumer.stats().reconnects == 0


@pytest.mark.parametrize(
    ("setting", "raised"),
    [("set_vm_memory_high_watermark", "0.0000001"), ("set_disk_free_limit", "100000GB")],
)
def test_alarm(node: PrivateNode, stream: str, setting: str, raised: str) -> None:
    """The publisher is blocked: capture goes on, what grows stale is dropped, and both sides say why."""
    with streaming(node, stream) as (feeder, watcher):
        node.ctl(setting, raised)
        try:
            wait_until(lambda: watcher.silent_s() > 2 * MAX_AGE_S, 20, "frames stop")
            wait_until(lambda: watcher.consumer.stats().blocked, 20, "the consumer knows why")
            captured, held = feeder.producer.stats().captured, len(watcher.seen)
            wait_until(lambda: feeder.producer.stats().captured > captured + 10, 20, "capture goes on")
            assert len(watcher.seen) == held
        finally:
            node.ctl(setting, _ENOUGH[setting])
        watcher.wait_flow(RECOVERY_S)
        wait_until(lambda: not watcher.consumer.stats().blocked, 20, "the consumer knows that it is over")
        assert watcher.consumer.stats().reconnects == 0


def test_broker_back_with_an_empty_data_folder(node: PrivateNode, stream: str) -> None:
    """Nothing that was declared is there any more: exchanges and queues are made anew by their owners."""
    with streaming(node, stream) as (feeder, watcher):
        node.kill()
        node.restart(timeout_s=scaled(60), empty=True)
        watcher.wait_flow(RECOVERY_S)
        only_queue(node)
        assert feeder.producer.failure is None


def test_broker_suspended(node: PrivateNode, stream: str) -> None:
    """For less than the heartbeats allow: nobody reconnects, and what was on its way is not shown."""
    with streaming(node, stream) as (_, watcher):
        node.suspend()
        try:
            wait_until(lambda: watcher.silent_s() > 3 * MAX_AGE_S, 20, "frames stop")
        finally:
            node.resume()
        watcher.wait_flow(RECOVERY_S)
        assert watcher.consumer.stats().reconnects == 0
