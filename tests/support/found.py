"""Builds results of detectors."""

from __future__ import annotations

from typing import Any

from fanlight.common.model.result import Result


def found(
    seq: int = 0,
    name: str = "faces",
    *,
    stream: str = "cam",
    epoch: int = 7,
    capture_ns: int = 1_700_000_000_000_000_000,
    size: tuple[int, int] = (64, 48),
    **content: Any,
) -> Result:
    """What the detector `name` found in a frame; by default nothing."""
    return Result(
        stream=stream, name=name, epoch=epoch, seq=seq, capture_ns=capture_ns, width=size[0],
        height=size[1], **content,
    )  # fmt: skip
