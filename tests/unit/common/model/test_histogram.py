from __future__ import annotations

from fanlight.common.model.histogram import Distribution, Histogram


def test_values_fall_into_the_first_class_that_holds_them() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.0, 1.0, 1.5, 2.0, 2.5, 100.0):
        histogram.observe(value)
    assert histogram.snapshot() == Distribution((1.0, 2.0), (2, 2, 2), 107.0)
