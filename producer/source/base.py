"""What every source of pictures looks like to the capture thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from common.codec.picture import Picture


@dataclass(frozen=True, slots=True)
class Captured:
    """One picture and when it was taken.

    Attributes:
        capture_ns: Unix time, by this machine's wall clock.
    """

    picture: Picture
    capture_ns: int


class Source(Protocol):
    """Gives one picture after the other, at its own pace.

    `open`, `read` and `close` are called by one thread, the capture thread; `interrupt` by any other.
    """

    @property
    def live(self) -> bool:
        """True if it may come back after a failure or an end (camera, network URL)."""
        ...

    @property
    def fps(self) -> float:
        """Nominal frames per second; valid after `open`."""
        ...

    def open(self) -> None:
        """Acquire the device, file or connection; may be called again after `close`.

        Raises:
            SourceError: with one sentence for the user.
        """
        ...

    def read(self) -> Captured | None:
        """Block until the next picture is due and return it; None when there are no more.

        Returns None soon after `interrupt`.

        Raises:
            SourceError: it failed, or stalled for longer than it may.
        """
        ...

    def interrupt(self) -> None:
        """Make a blocked `read` return. Thread-safe, permanent."""
        ...

    def close(self) -> None:
        """Release everything. Safe to call twice, and without `open`."""
        ...

    def __str__(self) -> str:
        """For log lines: `camera 0`, `clip.mp4`, `test pattern 1280x720`. Never shows a password."""
        ...
