"""All targets, by their names."""

from __future__ import annotations

from typing import Final

from scripts.fuzzing.pictures import DECODERS
from scripts.fuzzing.pure import PURE
from scripts.fuzzing.target import Target

TARGETS: Final[dict[str, Target]] = {target.name: target for target in (*PURE, *DECODERS)}
