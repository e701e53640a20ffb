"""Hubs as commands, what they keep in this host's memory, and by which way a viewer's frames come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fanlight.common.shm.private_folder import ring_folder
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
    """Wait until a new frame comes by that way: soon, where no hub has to start first."""
    count = len(watcher.seen)
    wait_until(
        lambda: len(watcher.seen) > count and watcher.seen[-1].shared is shared,
        30 if shared else 15,
        f"frames {'from the hub' if shared else 'as the stream'}",
    )
