"""A sink that overrides nothing, which is what `null` is."""

from __future__ import annotations

import numpy as np

from fanlight.consumer.sinks.null import NullSink
from fanlight.consumer.stats import Outcome, TraceRow
from tests.unit.consumer.sinks.build import encoded, picture, presented


def test_a_sink_leaves_the_picture_alone_and_goes_on() -> None:
    sink, image = NullSink(), picture()
    sink.present(presented(image))
    sink.receive(encoded(1)[0])
    sink.trace(TraceRow(0, 1, 2, None, Outcome.LATE))
    assert sink.tick() is True
    sink.close()
    assert np.array_equal(image, picture())
