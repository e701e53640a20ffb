from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from fanlight import Consumer
from fanlight.common.model.pixels import Pixels
from tests.integration.test_pipeline import read
from tests.support.examples import Showing, check_ends, example, printed
from tests.support.telling_stream import meta_of


def picture(_capture_ns: int) -> Pixels:
    """A white square on black: its edges are found."""
    image = np.zeros((120, 160, 3), np.uint8)
    image[30:90, 40:120] = 255
    return image


class Telling(Showing):
    """Says something of each picture."""

    def meta(self, capture_ns: int) -> dict[str, object]:
        return meta_of(capture_ns)


def red_edge(image: Pixels) -> bool:
    """Whether the square has a red outline, and is otherwise as it was."""
    column = image[60].astype(int)
    reddish = (column[:, 2] > 120) & (column[:, 0] < 100)
    return bool(reddish[36:44].any() and reddish[116:124].any() and not reddish[60:100].any())


def test_the_processed_stream_has_the_capture_times_and_meta_of_the_camera(
    broker_url: str, stream: str
) -> None:
    target = f"{stream}-edges"
    with ExitStack() as camera:
        camera.enter_context(Telling(broker_url, stream, picture))
        with example("republish", broker_url, stream, target) as command:
            printed(command, f"^{stream} -> {target}$")
            with Consumer(target, url=broker_url) as consumer:
                frames = read(consumer, 10)
            camera.close()
            check_ends(command)
    assert [frame.capture_ns for frame in frames] == sorted({frame.capture_ns for frame in frames})
    for frame in frames:
        seq = frame.meta["seq"]
        assert seq >= frame.seq
        assert frame.meta == {**meta_of(frame.capture_ns), "from": stream, "seq": seq}
        assert red_edge(frame.image)
