from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from fanlight.common.model.pixels import Pixels
from tests.support.examples import Showing, check_ends, example, printed


def moving(capture_ns: int) -> Pixels:
    """A white square that goes to the right."""
    picture = np.zeros((120, 160, 3), np.uint8)
    x = capture_ns // 20_000_000 % 120
    picture[40:80, x : x + 40] = 255
    return picture


def test_movement_is_found_until_the_end_of_the_stream(broker_url: str, stream: str) -> None:
    with ExitStack() as stack:
        command = stack.enter_context(example("opencv_loop", broker_url, stream))
        with Showing(broker_url, stream, moving):
            printed(command, "^160x120 at 30 fps$")
            printed(command, r"^movement at \d+,\d+: \d+x\d+ pixels, after \d+ ms$")
        printed(command, "^the stream has ended$")
        check_ends(command)


def test_it_ends_by_ctrl_c(broker_url: str, stream: str) -> None:
    with Showing(broker_url, stream, moving), example("opencv_loop", broker_url, stream) as command:
        printed(command, "^movement")
        check_ends(command, by_ctrl_c=True)
