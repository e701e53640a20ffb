"""One private node for all tests of faults, since a start takes seconds."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from scripts.private_node import PrivateNode
from tests.support.broker import new_node
from tests.support.timing import scaled


@pytest.fixture(autouse=True)
def quiet_pika(caplog: pytest.LogCaptureFixture) -> None:
    """As the commands do: it logs in ten lines what the link logs in one."""
    caplog.set_level(logging.CRITICAL + 1, logger="pika")


@pytest.fixture(scope="session")
def long_lived_node() -> Iterator[PrivateNode]:
    node = new_node()
    yield node
    node.stop()


@pytest.fixture
def node(long_lived_node: PrivateNode) -> PrivateNode:
    """One node for all tests here, since a start takes seconds; whole again after a test that failed."""
    if not long_lived_node.answers():
        long_lived_node.restart(timeout_s=scaled(60), empty=True)
    return long_lived_node
