"""The interface of every source of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fanlight.common.clock import monotonic_of
from fanlight.common.codec.picture import Picture
from fanlight.producer.stats import Drops


@dataclass(frozen=True, slots=True, eq=False)
class Captured:
    """One picture and its capture time.

    Attributes:
        picture: the source does not write to it again.
        capture_ns: wall time (Unix) at which it was taken: when the camera or the network delivered it,
            or, for a source that plays at a rate, when it was due.
        captured_ns: the same moment in monotonic time: a wall clock may be set while the picture waits.
        meta: what the program says about it, as in `FrameHeader`.
    """

    picture: Picture
    capture_ns: int
    captured_ns: int = -1  # computed from `capture_ns` by default
    meta: str = ""

    def __post_init__(self) -> None:
        if self.captured_ns < 0:
            object.__setattr__(self, "captured_ns", monotonic_of(self.capture_ns))


class Source(Protocol):
    """Yields one picture after another, at its own pace.

    `open`, `read` and `close` are called by one thread, the capture thread; `interrupt` by any other.

    Attributes:
        drops: number of pictures that were not returned, by reason.
    """

    drops: Drops

    @property
    def live(self) -> bool:
        """True if reopening may succeed after a failure or an end (camera, network stream).

        A URL counts as live until `open` finds a known duration.
        """
        ...

    @property
    def wait_s(self) -> float | None:
        """How long a live source is waited for at the start, if no setting says so; None without end."""
        ...

    @property
    def fps(self) -> float:
        """Nominal frames per second; valid after `open`."""
        ...

    def open(self) -> None:
        """Acquire the device, file or connection; may be called again after `close`.

        Returns soon after `interrupt`, opened or not; `read` then returns None.

        Raises:
            SourceError: it cannot be opened now; a `live` source may be retried.
            ConfigError: it can never be opened (a protocol that FFmpeg does not support).
        """
        ...

    def read(self) -> Captured | None:
        """Block until the next picture is due and return it; None when there are no more.

        Returns None soon after `interrupt`.

        Raises:
            SourceError: it failed or stalled, or it is live and ended.
        """
        ...

    def interrupt(self) -> None:
        """Make a blocked `open` or `read` return. Thread-safe, permanent."""
        ...

    def close(self) -> None:
        """Release everything. Safe to call twice, and without `open`."""
        ...

    def __str__(self) -> str:
        """For log lines: `camera 0`, `clip.mp4`, `test pattern 1280x720`. Never shows a password."""
        ...
