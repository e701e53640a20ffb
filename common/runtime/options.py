"""The options that both commands have beside their settings: how they are watched and looked after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from fanlight.common.model import units
from fanlight.common.runtime.logs import LogFormat
from fanlight.common.runtime.settings import Option

DEFAULT_STALL_S: Final = 3.0
_LOOPBACK: Final = "127.0.0.1"
_PLACE_RULE: Final = "HOST:PORT, or :PORT for this machine only, with a port from 1 to 65535"


def place(text: str) -> tuple[str, int]:
    """`HOST:PORT` or `:PORT` (this machine only) as (host, port)."""
    try:
        parts = urlsplit(f"//{_LOOPBACK if text.startswith(':') else ''}{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(_PLACE_RULE) from None
    if not host or not port or parts.path or parts.query or "@" in text or any(c.isspace() for c in text):
        raise ValueError(_PLACE_RULE)
    return host, port


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """How a command is watched.

    Attributes:
        log_format: of what it writes to stderr.
        metrics: (host, port) where `/metrics` and `/healthz` are served; None for nowhere.
        stall_s: without a frame for this long it is not healthy.
        doctor: look whether everything that it needs is there, and end.
    """

    log_format: LogFormat = LogFormat.TEXT
    metrics: tuple[str, int] | None = None
    stall_s: float = DEFAULT_STALL_S
    doctor: bool = False


OPTIONS: Final = (
    Option(
        "log-format",
        units.one_of(LogFormat, " or "),
        LogFormat.TEXT,
        "text (the default); json: one object per line",
        "FORMAT",
    ),
    Option(
        "metrics",
        place,
        None,
        "serve /metrics for Prometheus and /healthz there; :PORT is this machine only (default: nowhere)",
        "HOST:PORT",
    ),
    Option(
        "stall",
        units.positive_duration_s,
        DEFAULT_STALL_S,
        "of --metrics: without a frame for this long, /healthz says 503 (default: 3s)",
        "TIME",
        field="stall_s",
    ),
    Option(
        "doctor",
        str,
        False,
        "check everything that is needed, say what to do about it, and end",
        switch=True,
    ),
)
_KEYS: Final = frozenset(option.key for option in OPTIONS)


def split(values: Mapping[str, Any]) -> tuple[dict[str, Any], Operation]:
    """The values of a command line: those of its settings, and how it is watched."""
    own = {key: value for key, value in values.items() if key not in _KEYS}
    return own, Operation(**{key: value for key, value in values.items() if key in _KEYS})
