from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest

from fanlight.common.model.pixels import Pixels
from tests.support.examples import check_ends, example, printed
from tests.support.stereo import triggered

DISPARITY_PX = 9
SCENE = np.random.default_rng(1).integers(0, 256, (120, 200, 3), np.uint8).repeat(2, 0).repeat(2, 1)


def left(_capture_ns: int) -> Pixels:
    return np.ascontiguousarray(SCENE[:, : -2 * DISPARITY_PX])


def right(_capture_ns: int) -> Pixels:
    """The same plane, seen from further right: everything is further left."""
    return np.ascontiguousarray(SCENE[:, DISPARITY_PX:-DISPARITY_PX])


@pytest.mark.parametrize("by_ctrl_c", [False, True])
def test_the_distance_of_a_plane_is_measured_until_the_end(
    broker_url: str, stream: str, by_ctrl_c: bool
) -> None:
    names = (f"{stream}-left", f"{stream}-right")
    with ExitStack() as cameras, example("stereo_pairs", broker_url, *names) as command:
        cameras.enter_context(triggered(broker_url, list(zip(names, (left, right), strict=True)), fps=10))
        printed(command, rf"disparity {DISPARITY_PX}\.0 pixels")
        if not by_ctrl_c:
            cameras.close()
        check_ends(command, by_ctrl_c=by_ctrl_c)
