"""A consumer that reads every pixel of every frame, as an application does.

Takes the command line of `python -m consumer`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from common.shell.lean import lean_process

if TYPE_CHECKING:
    from consumer.frame import Frame
    from consumer.sinks.base import Sink


def main() -> int:
    lean_process()
    from consumer import cli
    from consumer.sinks.null import NullSink

    def look(_sink: Sink, frame: Frame) -> None:
        frame.image.max()

    NullSink.present = look  # type: ignore[assignment,method-assign]
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
