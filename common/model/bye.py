"""What a producer says when it ends in good order. `docs/wire.md` has the representation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

from fanlight.common.model import wire_fields
from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import APP_ID, VERSION


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
        version = wire_fields.whole(headers, "v")
        if version != VERSION:
            raise WireFormatError("v", version, str(VERSION))
        stream, epoch = wire_fields.name(headers), wire_fields.whole(headers, "epoch")
        return cls(stream, epoch, wire_fields.whole(headers, "seq", -1))
