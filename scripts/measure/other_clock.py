"""A consumer whose wall clock is set off: `python -m scripts.measure.other_clock NANOSECONDS FLAGS`.

Every module reads the wall clock by way of `common.clock`, so it is replaced there before any of them is
imported. (A time namespace cannot shift the wall clock, and libfaketime also shifts timeouts.)
"""

from __future__ import annotations

import sys
import time

from fanlight.common import clock


def main() -> int:
    """Run the consumer's command line; its exit code."""
    offset_ns = int(sys.argv[1])
    clock.wall_ns = lambda: time.time_ns() + offset_ns
    from fanlight.consumer.cli import main as consumer

    return consumer(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
