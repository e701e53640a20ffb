"""Frame headers for tests."""

from __future__ import annotations

from typing import Any, Final

from fanlight.common.model.frame import Codec, FrameHeader

_BASE: Final = FrameHeader(
    stream="cam", codec=Codec.JPEG, epoch=1, seq=0, capture_ns=0, width=64, height=48, key=True, fps=30.0
)


def header(
    seq: int = 0, codec: Codec = Codec.JPEG, size: tuple[int, int] = (64, 48), **more: Any
) -> FrameHeader:
    return _BASE._replace(seq=seq, codec=codec, width=size[0], height=size[1], **more)
