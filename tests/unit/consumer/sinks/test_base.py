"""A sink that overrides nothing."""

from __future__ import annotations

from fanlight.consumer.sinks.base import Sink
from fanlight.consumer.stats import Event, Outcome
from tests.unit.consumer.sinks.build import encoded, picture, presented


def test_a_sink_does_nothing_and_goes_on_for_ever() -> None:
    sink = Sink()
    sink.present(presented(picture()))
    sink.receive(encoded(1)[0])
    sink.outcome(Outcome(0, 1, 2, None, Event.LATE))
    assert sink.tick() is True
    sink.close()
