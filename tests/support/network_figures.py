"""The figures of docs/reliability-network.md: `python -m tests.support.network_figures [REPETITIONS]`."""

from __future__ import annotations

import logging
import statistics
import sys
import time
from contextlib import ExitStack

from tests.support.bad_line import FAR, Place, Scene, made_place, streaming, wait_long

_WHO = {
    "producer": "producer, broker",
    "consumer": "consumer, broker",
    "threads": "tcp+threads",
    "multiplex": "tcp+multiplex",
}


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _enter(
    stack: ExitStack, place: Place, name: str, whom: tuple[str, ...], codec: str, *, proxied: bool = False
) -> list[Scene]:
    size = (64, 48) if codec == "raw" else (640, 360)
    return [
        stack.enter_context(streaming(place, f"{name}-{far}", far, codec=codec, size=size, proxied=proxied))
        for far in whom
    ]


def _row(first: str, figures: list[list[float]]) -> str:
    cells = [f"{statistics.median(values):.2f} / {max(values):.2f}" for values in figures]
    return f"| {first} | {' | '.join(cells)} |"


def blackouts(place: Place, repetitions: int) -> None:
    """Seconds from the end of a blackout to the first frame that was captured after it."""
    _say(f"| packets vanish for | {' | '.join(_WHO.values())} |\n|---|---|---|---|---|")
    for seconds in (0.5, 1.0, 1.5, 2.0, 3.0, 4.5, 8.0):
        figures: list[list[float]] = [[] for _ in FAR]
        with ExitStack() as stack:
            scenes = _enter(stack, place, f"dark{int(seconds * 10)}", tuple(FAR), "h264")
            for repetition in range(repetitions):
                place.net.link.drop(True)
                wait_long(seconds + 0.03 * repetition)
                place.net.link.drop(False)
                since_s = time.monotonic()
                for scene, values in zip(scenes, figures, strict=True):
                    values.append(scene.recovered_s(since_s))
                for scene in scenes:
                    scene.wait_flow()
                wait_long(1)
            for scene in scenes:
                assert scene.faults() == [], scene.faults()
        _say(_row(f"{seconds:g} s", figures))


def cuts(place: Place, repetitions: int) -> None:
    """Likewise after a cut."""
    for what, reset in (("cut, RST", True), ("cut, FIN", False)):
        figures: list[list[float]] = [[] for _ in FAR]
        with ExitStack() as stack:
            scenes = _enter(stack, place, f"cut{reset}", tuple(FAR), "h264", proxied=True)
            for _ in range(repetitions):
                wait_long(1)
                for scene, values in zip(scenes, figures, strict=True):
                    assert scene.proxy is not None
                    scene.proxy.cut(reset=reset)
                    values.append(scene.recovered_s(time.monotonic()))
            for scene in scenes:
                assert scene.faults() == [], scene.faults()
        _say(_row(what, figures))


def bad(place: Place, seconds: float = 10.0) -> None:
    """Frames a second and their ages while a line is bad, one stream at a time."""
    _say(f"| line, stream | {' | '.join(_WHO.values())} |\n|---|---|---|---|---|")
    for what, codec in (
        ("good", "h264"),
        ("loss", "h264"),
        ("jitter", "h264"),
        ("rate", "h264"),
        ("rate", "jpeg"),
    ):
        cells = []
        for far in FAR:
            with ExitStack() as stack:
                (scene,) = _enter(stack, place, f"{what}{codec}", (far,), codec, proxied=what == "jitter")
                if what == "loss":
                    scene.link.loss(0.05)
                elif what == "rate":
                    scene.link.rate("1mbit")
                elif scene.proxy is not None:
                    scene.proxy.jitter_s = 0.1
                began_s = time.monotonic()
                wait_long(seconds)
                ages = sorted(seen.age_s * 1e3 for seen in list(scene.watcher.seen) if seen.at_s >= began_s)
                assert scene.watcher.consumer.stats().reconnects == 0
                scene.link.clear()
                if scene.proxy is not None:
                    scene.proxy.clear()
                back_s = scene.recovered_s(time.monotonic())
                assert scene.faults() == [], scene.faults()
            middle, last = (ages[len(ages) // 2], ages[-1]) if ages else (0, 0)
            cells.append(f"{len(ages) / seconds:.0f} fps, {middle:.0f} / {last:.0f} ms; {back_s:.2f} s")
        _say(f"| {what}, {codec} | {' | '.join(cells)} |")


def main() -> None:
    """All of it."""
    logging.getLogger().addHandler(logging.NullHandler())
    logging.disable(logging.CRITICAL)
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with made_place() as place:
        blackouts(place, repetitions)
        cuts(place, repetitions)
        bad(place)


if __name__ == "__main__":
    main()
