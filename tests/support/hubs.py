"""Hubs as commands, what they keep in this host's memory, and by which way a viewer's frames come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fanlight.common.shm.folder import ring_folder
from tests.support.commands import Command, running
from tests.support.marked_stream import Watcher
from tests.support.timing import wait_until


def files_of(stream: str) -> list[Path]:
    """The segments and locks of its rings."""
    return sorted(ring_folder().glob(f"{stream}.*"))


@contextmanager
def hub(url: str, stream: str, *options: str, name: str = "hub") -> Iterator[Command]:
    """A running hub; killed at the end if it still runs."""
    with running(
        "consumer", "--url", url, "--stream", stream, "--name", name, "--sink", "share", *options
    ) as command:
        yield command


def comes_by(watcher: Watcher, *, shared: bool) -> None:
    """Wait until the newest frame came by that way."""
    asked_s = time.monotonic()
    wait_until(
        lambda: watcher.last and watcher.last.at_s > asked_s and watcher.last.shared is shared,
        15,
        f"frames {'from the hub' if shared else 'as the stream'}",
    )
