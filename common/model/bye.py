"""What a producer says when it ends in good order. `docs/wire.md` has the representation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Final

from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import APP_ID, STREAM_NAME, STREAM_NAME_RULE, VERSION

_MAX_INT63: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Bye:
    """The end of a stream.

    Attributes:
        epoch: of the producer that ends.
        seq: of its last frame; -1 if it has published none.
    """

    stream: str
    epoch: int
    seq: int

    TYPE: ClassVar[str] = "bye"

    def to_amqp(self) -> dict[str, object]:
        """The AMQP header table."""
        return {"v": VERSION, **asdict(self)}

    @classmethod
    def from_amqp(cls, headers: Mapping[str, object] | None, *, app_id: str | None) -> Bye:
        """Validate an untrusted header table. Raises WireFormatError."""
        if app_id != APP_ID:
            raise WireFormatError("app_id", app_id, repr(APP_ID))
        headers = headers or {}
        version = _integer(headers, "v", 0)
        if version != VERSION:
            raise WireFormatError("v", version, str(VERSION))
        stream = headers.get("stream")
        if not isinstance(stream, str) or not STREAM_NAME.fullmatch(stream):
            raise WireFormatError("stream", stream, STREAM_NAME_RULE)
        return cls(stream, _integer(headers, "epoch", 0), _integer(headers, "seq", -1))


def _integer(headers: Mapping[str, object], field: str, low: int) -> int:
    value = headers.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= _MAX_INT63:
        raise WireFormatError(field, value, f"a whole number from {low} to {_MAX_INT63}")
    return int(value)
