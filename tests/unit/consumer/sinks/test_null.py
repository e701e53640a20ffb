"""`null`."""

from __future__ import annotations

import numpy as np

from fanlight.consumer.sinks.null import NullSink
from tests.unit.consumer.sinks.build import picture, presented


def test_it_leaves_the_picture_alone_and_goes_on() -> None:
    image = picture()
    sink = NullSink()
    sink.present(presented(image))
    assert sink.tick()
    assert np.array_equal(image, picture())
