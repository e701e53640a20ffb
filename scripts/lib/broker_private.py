"""Starts the broker as a private node from an installed, or installable, rabbitmq-server."""

from __future__ import annotations

import sys
from collections.abc import Callable

from scripts.lib import apt
from scripts.lib.instance import Instance, Record
from scripts.private_node import NodeError, PrivateNode, scripts_folder

NAME = "private"
_START_S = 120.0


def missing() -> str | None:
    """Why this way is not open; None if it is."""
    if sys.platform != "linux":
        return "a private node needs Linux"
    if scripts_folder() is None and not apt.can_install():
        return "rabbitmq-server is not installed"
    return None


def up(instance: Instance, show: Callable[[str], None]) -> Record:
    """Start a node that outlives this program.

    Raises:
        InstallFailed: apt-get failed.
        NodeError: it does not start.
    """
    if scripts_folder() is None:
        show("installing Debian's rabbitmq-server with apt-get (its system service is not started)")
        apt.install(["rabbitmq-server"], show)
    show("starting a private RabbitMQ node")
    node = PrivateNode(instance.node_folder)
    record = Record(NAME, node.url)
    # Before the start, so that `down` finds what an `up` that was killed has left.
    instance.write(record)
    node.start(_START_S)
    return record


def down(instance: Instance) -> None:
    """Stop the node and remove its data."""
    try:
        node = PrivateNode.attach(instance.node_folder)
    except NodeError:
        return  # `up` was killed before it started anything
    node.stop()


def describe(instance: Instance) -> str:
    """For `status`."""
    node = PrivateNode.attach(instance.node_folder)
    return f"private node {node.name}, process {node.pid or 'gone'}"
