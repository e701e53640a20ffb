"""A consumer that reads every pixel of every frame, as an application does.

Takes the command line of `python -m consumer`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from fanlight.common.runtime.memory import lean_process

if TYPE_CHECKING:
    from fanlight.consumer.frame import Frame
    from fanlight.consumer.sinks.base import Sink


def main() -> int:
    lean_process()
    from fanlight.consumer import cli
    from fanlight.consumer.sinks.null import NullSink

    def read_pixels(_sink: Sink, frame: Frame) -> None:
        frame.image.max()

    NullSink.present = read_pixels  # type: ignore[assignment,method-assign]
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
