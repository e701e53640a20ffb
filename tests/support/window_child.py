"""A process with one window sink, driven line by line: Qt lives and dies with its process.

Reads `present FILE.npy [RESULT]` (as JSON), `tick` or `close` and answers each with one line, the result.

Ends with its stdin, or by an alarm, which works even where Qt never returns.
"""

from __future__ import annotations

import signal
import sys

import numpy as np

from fanlight.common.model.errors import FanlightError
from fanlight.common.model.result import Result
from fanlight.consumer.sink_spec import parse_sink
from fanlight.consumer.sinks import open_sink
from tests.support.timing import scaled
from tests.unit.consumer.sinks.build import context, presented

_LIFETIME_S = 60


def main() -> int:
    signal.alarm(round(scaled(_LIFETIME_S)))
    try:
        sink = open_sink(parse_sink("window"), context())
    except FanlightError as error:
        answer(str(error))
        return 1
    answer("open")
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        if command == "present":
            path, _, result = argument.partition(" ")
            image = np.load(path)
            before = image.copy()
            found = [Result.from_json(result.encode())] if result else []
            frame = presented(image)._replace(results={each.name: each for each in found})
            sink.present(frame)
            answer("untouched" if np.array_equal(image, before) else "drawn on")
        elif command == "tick":
            answer(str(sink.tick()))
        else:
            sink.close()
            answer("closed")
    return 0


def answer(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
