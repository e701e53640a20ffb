"""A directory of streams that runs, and what it lists. Other tests have streams on the same broker."""

from __future__ import annotations

from typing import Self

from fanlight.common import transport
from fanlight.common.model.announcement import Announcement
from fanlight.common.model.credentials import Credentials
from fanlight.common.model.errors import FanlightError
from tests.support.timing import scaled, wait_until


class Listing:
    """Runs while it is entered.

    Attributes:
        streams: those that are live now, by name.
        changes: how often it was told of a change.
        failure: why it gave up.
    """

    def __init__(self, url: str, *, trust: tuple[str, ...] = (), token: str | None = None) -> None:
        self.streams: dict[str, Announcement] = {}
        self.changes = 0
        self.failure: FanlightError | None = None
        self.directory = transport.directory(
            url,
            Credentials(token=token),
            on_change=self._changed,
            on_failed=self._failed,
            trust=trust,
        )

    def __enter__(self) -> Self:
        self.directory.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.directory.stop(scaled(5))

    def wait_for(self, stream: str, timeout_s: float = 20) -> Announcement:
        """Until it is listed."""
        wait_until(lambda: stream in self.streams, timeout_s, f"{stream} is listed")
        return self.streams[stream]

    def watched(self, stream: str) -> bool:
        """Whether it is listed as watched."""
        found = self.streams.get(stream)  # on a loaded machine it may be missing for a moment
        return found is not None and found.watched

    def wait_gone(self, stream: str, timeout_s: float = 20) -> None:
        wait_until(lambda: stream not in self.streams, timeout_s, f"{stream} is no longer listed")

    def _changed(self, listed: tuple[Announcement, ...]) -> None:
        self.streams = {each.stream: each for each in listed}
        self.changes += 1

    def _failed(self, error: FanlightError) -> None:
        self.failure = error
