"""Several workers share the frames of one stream, and their results come back in order.

    python -m examples.pool cam 3

Each frame goes to one idle worker, the newest first. Workers may come, go and die at any time, also on
other machines; here they are processes of this program.
"""

from __future__ import annotations

import multiprocessing
import sys
from contextlib import suppress

import cv2

from fanlight import Consumer, Results, ordered


def work(stream: str, number: int) -> None:
    """One worker: put your own slow work here."""
    with (
        suppress(KeyboardInterrupt),
        Consumer(stream, name=f"worker-{number}", pool="sharpness", until_end=True) as frames,
        Results(stream, name="sharpness") as out,
    ):
        for frame in frames:
            sharpness = cv2.Laplacian(frame.image, cv2.CV_64F).var()
            out.send(frame, data={"worker": number, "sharpness": round(float(sharpness), 1)})


def main(stream: str = "cam", workers: str = "3") -> None:
    spawn = multiprocessing.get_context("spawn")  # not a fork: OpenCV has threads of its own
    processes = [spawn.Process(target=work, args=(stream, number)) for number in range(int(workers))]
    for process in processes:
        process.start()
    try:
        with ordered(stream, name="sharpness", deadline="400ms") as results:
            while any(process.is_alive() for process in processes):
                result = results.read(timeout_s=0.5)
                if result is not None:
                    print(f"frame {result.seq}: {result.data}", flush=True)
    finally:
        for process in processes:
            process.terminate()
            process.join()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
