from __future__ import annotations

import numpy as np

from fanlight import Consumer, Frame
from fanlight.common.model.pixels import Pixels
from tests.support.examples import Showing, check_ends, example, printed
from tests.support.moving_square import around, picture, square_in
from tests.support.timing import wait_until

PLACE_NS = 100_000_000


def moving(capture_ns: int) -> Pixels:
    """The square stands for a tenth of a second in each place; twice as large as what is examined."""
    return picture(capture_ns // PLACE_NS).repeat(2, axis=0).repeat(2, axis=1)


def finds_the_square(frame: Frame) -> bool:
    """Whether a box of this very frame is where its square is."""
    square, result = square_in(frame.image), frame.results.get("motion")
    if square is None or result is None:
        return False
    assert (result.width, result.height) == (1280, 720), "in pixels of the picture that is shown"
    return any(np.abs(np.subtract(box, around(square, 0))).max() <= 8 for box in result.boxes)


def test_what_moves_is_found_and_known_to_other_processes(broker_url: str, stream: str) -> None:
    found: set[int] = set()

    def read() -> bool:
        frame = consumer.read(timeout_s=1.0)
        if frame is not None and finds_the_square(frame):
            found.add(frame.capture_ns // PLACE_NS)
        return len(found) >= 5

    with (
        Showing(broker_url, stream, moving, fps=20),
        example("detector", broker_url, stream) as command,
    ):
        printed(command, f"^looking for motion in {stream}$")
        with Consumer(stream, max_age_s=5, results=["motion"], wait="4s", url=broker_url) as consumer:
            wait_until(read, 40, "the square is found in five places")
        check_ends(command, by_ctrl_c=True)
