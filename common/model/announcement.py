"""What producers say about themselves, and the directory of live streams made of it. Pure.

`docs/wire.md` has the fields of the JSON object.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, Self

from fanlight.common.model import control, wire_fields
from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import MAX_FPS, MAX_SIDE, MIN_FPS, Codec

INTERVAL_NS: Final = 2_000_000_000
"""A producer announces itself this often."""
EXPIRY_NS: Final = 5_000_000_000
"""One that was not heard of for this long is not live."""
MOST_STREAMS: Final = 1000
# After a change; several changes at once are announced together.
_SHORTEST_INTERVAL_NS: Final = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A live stream, as its producer describes it.

    Attributes:
        stream: its name.
        codec: how its frames are encoded.
        width: of its pictures, in pixels; None before the first one.
        height: likewise.
        fps: nominal rate of the source.
        epoch: as in the headers of its frames.
        since_ns: Unix time at which the producer started, by its own clock.
        watched: whether anybody receives the stream.
        ended: the last announcement: the stream is not live any more.
    """

    TYPE: ClassVar[str] = "announcement"

    stream: str
    codec: Codec
    width: int | None = None
    height: int | None = None
    fps: float
    epoch: int = 0
    since_ns: int = 0
    watched: bool = False
    ended: bool = False

    def to_json(self) -> bytes:
        """The body of the message."""
        return json.dumps({"v": control.VERSION, **asdict(self)}, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Validate and parse an untrusted message.

        Raises:
            WireFormatError: the first field that is missing or out of range, or an unknown version.
        """
        table = control.read_object(body)
        stream, codec = wire_fields.name(table), table.get("codec")
        if not isinstance(codec, str) or codec not in set(Codec):
            raise WireFormatError("codec", codec, ", ".join(Codec))
        if (table.get("width") is None) is not (table.get("height") is None):
            raise WireFormatError("height", table.get("height"), "a number if width is one, else null")
        return cls(
            stream=stream,
            codec=Codec(codec),
            width=_side(table, "width"),
            height=_side(table, "height"),
            fps=_rate(table, "fps"),
            epoch=wire_fields.whole(table, "epoch"),
            since_ns=wire_fields.whole(table, "since_ns"),
            watched=wire_fields.truth(table, "watched"),
            ended=wire_fields.truth(table, "ended", False),
        )

    def to_table(self) -> dict[str, object]:
        """For programs that read JSON, JavaScript among them: no number exceeds 53 bits."""
        return {
            "stream": self.stream,
            "codec": str(self.codec),
            "width": self.width,
            "height": self.height,
            "fps": self.fps,
            "epoch": str(self.epoch),
            "since_ms": self.since_ns // 1_000_000,
            "watched": self.watched,
        }


class Directory:
    """The live streams, by what was heard. `now_ns` is monotonic time.

    Those that have expired make room whenever `live` is called.

    Attributes:
        dropped: announcements of producers beyond the first `most`.
    """

    def __init__(self, most: int = MOST_STREAMS) -> None:
        self._most = most
        # By stream and epoch: two producers of one stream do not replace each other every second.
        self._heard: dict[tuple[str, int], tuple[Announcement, int]] = {}
        self.dropped = 0

    def observe(self, announcement: Announcement, now_ns: int) -> None:
        """An announcement came."""
        key = announcement.stream, announcement.epoch
        if announcement.ended:
            self._heard.pop(key, None)
            return
        if key not in self._heard and len(self._heard) >= self._most:
            self.dropped += 1
            return
        self._heard[key] = announcement, now_ns

    def live(self, now_ns: int) -> tuple[Announcement, ...]:
        """The live streams by name, each once: of several producers of one, that which came last."""
        for key, (_, heard_ns) in tuple(self._heard.items()):
            if now_ns - heard_ns >= EXPIRY_NS:
                del self._heard[key]
        newest = {announcement.stream: announcement for announcement, _ in self._heard.values()}
        return tuple(newest[stream] for stream in sorted(newest))

    def clear(self) -> None:
        """Nothing is known any more."""
        self._heard.clear()


class AnnouncementSchedule:
    """When a producer announces itself: every 2 s, and at once when something has changed."""

    def __init__(self) -> None:
        self._last: Announcement | None = None
        self._last_ns = 0

    def due(self, announcement: Announcement, now_ns: int) -> bool:
        """Whether to send it now; if so, it counts as sent. `now_ns` is monotonic time."""
        if self._last is not None:
            wait_ns = INTERVAL_NS if announcement == self._last else _SHORTEST_INTERVAL_NS
            if now_ns - self._last_ns < wait_ns:
                return False
        self._last, self._last_ns = announcement, now_ns
        return True


def _side(table: dict[str, Any], field: str) -> int | None:
    return None if table.get(field) is None else wire_fields.whole(table, field, 1, MAX_SIDE)


def _rate(table: dict[str, Any], field: str) -> float:
    value = table.get(field)
    # NaN fails every comparison.
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MAX_FPS:
        return max(float(value), MIN_FPS)
    raise WireFormatError(field, value, f"a number above 0 and up to {MAX_FPS:g}")
