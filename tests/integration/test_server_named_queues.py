"""The broker names the queues of consumers: what operators see, what is left, limits, permissions."""

from __future__ import annotations

import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ConnectionClosedByBroker

from fanlight.common.model.errors import BrokerRefused
from fanlight.consumer import Consumer
from scripts.private_node import VHOST, PrivateNode
from tests.support.marked_stream import Marking, Watcher
from tests.support.roles import as_user, refusal
from tests.support.timing import scaled, wait_until

pytestmark = pytest.mark.brokerless

WRONG = 406
CHOSEN = r"fanlight\.(?!control\.)[\w-]+\.[\w-]+\.[0-9a-f]{6}"


def test_the_name_of_a_consumer_is_in_the_console(settled_node: PrivateNode, stream: str) -> None:
    url = settled_node.url
    with Marking(url, stream), Watcher(Consumer(stream, "w", url=url, via="broker")) as watcher:
        wait_until(lambda: watcher.last, 20, "the stream is on")
        listed = settled_node.ctl("list_consumers", "-p", VHOST, "queue_name", "consumer_tag").splitlines()
        tags = [line.split("\t")[1] for line in listed if line.startswith("amq.gen-")]
        assert f"fanlight.{stream}.w" in tags
        assert f"fanlight consumer {stream} w" in settled_node.ctl("list_connections", "client_properties")


def test_a_consumer_leaves_no_queue_behind(
    settled_node: PrivateNode, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor one for each attempt while it waits for the exchange."""

    def queues() -> list[str]:
        return [
            name for name in settled_node.ctl("list_queues", "name", "-p", VHOST).split() if "gen" in name
        ]

    wait_until(lambda: queues() == [], 20, "those of other tests are gone")
    viewer = as_user(settled_node.url, "viewer")
    with Watcher(Consumer(stream, "w", url=viewer, via="broker")) as watcher:
        wait_until(lambda: caplog.text.count("waiting for its producer") >= 3, 30, "three attempts")
        assert len(queues()) <= 1
        with Marking(settled_node.url, stream):
            wait_until(lambda: watcher.last, 20, "the stream is on")
            wait_until(lambda: len(queues()) == 1, 20, "there is no other")
    wait_until(lambda: queues() == [], 20, "nothing is left")


@pytest.mark.parametrize(
    ("configure", "works"),
    [(rf"^({CHOSEN}|amq\.gen-.*)$", True), (rf"^{CHOSEN}$", False)],
    ids=["of earlier versions", "without names of the server"],
)
def test_a_viewer_with_old_permissions_watches_or_reads_what_to_do(
    settled_node: PrivateNode, stream: str, configure: str, works: bool
) -> None:
    user = f"viewer-of-{stream}"
    settled_node.ctl("add_user", user, "secret")
    settled_node.ctl("set_permissions", "-p", VHOST, user, configure, ".*", ".*")
    viewer = settled_node.url.replace("fanlight:fanlight@", f"{user}:secret@")
    with Marking(settled_node.url, stream), Consumer(stream, "w", url=viewer, via="broker") as consumer:
        if works:
            assert consumer.read(scaled(10)) is not None
        else:
            with pytest.raises(
                BrokerRefused, match=rf"rabbitmqctl set_permissions -p fanlight {user} '\^amq"
            ):
                consumer.read(scaled(10))


def test_what_one_viewer_declares_and_opens_is_limited(settled_node: PrivateNode, stream: str) -> None:
    """Each queue on a stream costs the broker time per frame, whoever reads it.

    At a node of its own: while the vhost is full, nobody else may declare a queue.
    """
    producer, viewer = (as_user(settled_node.url, user) for user in ("producer", "viewer"))

    def declare_many(channel: BlockingChannel) -> None:
        for _ in range(501):
            channel.queue_declare("", exclusive=True)

    def open_many(channel: BlockingChannel) -> None:
        for _ in range(1001):
            channel.connection.channel()

    with Marking(producer, stream), Watcher(Consumer(stream, "w", url=viewer, via="broker")) as watcher:
        wait_until(lambda: watcher.last, 20, "the stream is on")
        assert refusal(viewer, declare_many) == WRONG
        with pytest.raises(ConnectionClosedByBroker, match="number of channels"):
            refusal(viewer, open_many)
        watcher.wait_flow()
        assert watcher.consumer.stats().reconnects == 0
