"""The broker names the queues of consumers: what operators see, what is left, and old permissions."""

from __future__ import annotations

import pytest

from fanlight.common.model.errors import BrokerRefused
from fanlight.consumer import Consumer
from scripts.private_node import VHOST, PrivateNode
from tests.support.marked_stream import Marking, Watcher
from tests.support.roles import as_user
from tests.support.timing import scaled, wait_until

pytestmark = pytest.mark.brokerless

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
    settled_node.ctl("set_permissions", "-p", VHOST, "viewer", configure, ".*", ".*")
    viewer = as_user(settled_node.url, "viewer")
    with Marking(settled_node.url, stream), Consumer(stream, "w", url=viewer, via="broker") as consumer:
        if works:
            assert consumer.read(scaled(10)) is not None
        else:
            with pytest.raises(
                BrokerRefused, match=r"rabbitmqctl set_permissions -p fanlight viewer '\^amq"
            ):
                consumer.read(scaled(10))
