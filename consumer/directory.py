"""Which streams are live: `fanlight.streams()`, and `python -m consumer --list`."""

from __future__ import annotations

import json
import queue
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from fanlight.common import transport
from fanlight.common.model.announcement import Announcement
from fanlight.common.model.errors import BrokerUnavailable, FanlightError
from fanlight.common.model.units import checked, duration, duration_text
from fanlight.common.runtime.signals import StopSignals
from fanlight.consumer.settings import ConsumerSettings

_TIMEOUT_S: Final = 10.0
_STOP_S: Final = 1.0
Listed = tuple[Announcement, ...]
_HEAD: Final = ("STREAM", "CODEC", "SIZE", "FPS", "SINCE", "WATCHED", "EPOCH")


def streams(
    *,
    url: str | None = None,
    trust: Sequence[str] = ConsumerSettings.trust,
    timeout_s: float = _TIMEOUT_S,
    password: str | None = None,
    ca: str | None = None,
    cert: str | None = None,
    key: str | None = None,
    token: str | None = None,
) -> tuple[Announcement, ...]:
    """The live streams, sorted by name. Takes 2.5 s with a broker; without one it answers at once.

    A producer of an earlier version does not announce itself, and is not listed.

    Args:
        url: address of the broker, or of a producer without one; by default `FANLIGHT_URL`, or else the
            local broker.
        trust: list only what these users of the broker announce; empty for all.
        timeout_s: longest wait, in seconds.
        password, ca, cert, key, token: as for `Producer`.

    Raises:
        ConfigError: a setting cannot be used.
        BrokerRefused: the broker refused the connection.
        TokenRefused: a producer without a broker refused the token.
        BrokerUnavailable: there was no answer in time.
    """
    timeout_s = checked("timeout_s", timeout_s, duration().check)
    settings = ConsumerSettings.of_program(
        url=url, trust=trust, password=password, ca=ca, cert=cert, key=key, token=token
    )
    return _Query(settings).run(timeout_s) or ()


def print_streams(settings: ConsumerSettings) -> None:
    """Write the live streams to stdout, as a table or as JSON. Raises FanlightError."""
    query = _Query(settings)
    with StopSignals(query.cancel):
        listed = query.run(_TIMEOUT_S)
    if listed is not None:
        sys.stdout.write(as_json(listed) if settings.json else as_text(listed))


def as_json(listed: Sequence[Announcement]) -> str:
    """An array of objects, one a line."""
    return "[" + ",\n ".join(json.dumps(each.to_table()) for each in listed) + "]\n"


def as_text(listed: Sequence[Announcement]) -> str:
    """A table for people; times are local."""
    if not listed:
        return "no stream is live\n"
    rows = [_HEAD, *map(_row, listed)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)


def _row(stream: Announcement) -> tuple[str, ...]:
    return (
        stream.stream,
        stream.codec,
        "-" if stream.width is None else f"{stream.width}x{stream.height}",
        f"{stream.fps:.3g}",
        f"{datetime.fromtimestamp(stream.since_ns // 1_000_000_000):%Y-%m-%d %H:%M:%S}",
        "yes" if stream.watched else "no",
        str(stream.epoch),
    )


class _Query:
    """Asks once."""

    def __init__(self, settings: ConsumerSettings) -> None:
        self._address = settings.address
        self._answers: queue.SimpleQueue[Listed | FanlightError | None] = queue.SimpleQueue()
        self._directory = transport.directory(
            settings.url,
            settings.credentials,
            name=settings.name,
            trust=settings.trust,
            on_change=self._changed,
            on_failed=self._answers.put,
        )

    def run(self, timeout_s: float) -> Listed | None:
        """The live streams; None if it was cancelled. Raises FanlightError."""
        try:
            self._directory.start()
            answer = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            waited = duration_text(timeout_s)
            raise BrokerUnavailable(f"{self._address}: no list of streams within {waited}") from None
        finally:
            self._directory.stop(_STOP_S)
        if isinstance(answer, FanlightError):
            raise answer
        return answer

    def cancel(self) -> None:
        """End `run`. Thread-safe."""
        self._answers.put(None)

    def _changed(self, listed: Listed) -> None:
        if self._directory.complete:
            self._answers.put(listed)
