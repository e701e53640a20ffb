"""A process with one window sink, driven line by line: Qt lives and dies with its process.

Reads `present FILE.npy`, `tick` or `close` and answers each with one line, the result.
"""

from __future__ import annotations

import sys

import numpy as np

from common.errors import FanlightError
from consumer.sinks import open_sink, parse_sink
from tests.unit.consumer.sinks.build import context, presented


def main() -> int:
    try:
        sink = open_sink(parse_sink("window"), context())
    except FanlightError as error:
        print(error, flush=True)
        return 1
    print("open", flush=True)
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        if command == "present":
            image = np.load(argument)
            before = image.copy()
            sink.present(presented(image))
            print("untouched" if np.array_equal(image, before) else "drawn on", flush=True)
        elif command == "tick":
            print(sink.tick(), flush=True)
        else:
            sink.close()
            print("closed", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
