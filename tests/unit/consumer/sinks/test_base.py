"""A sink that overrides nothing."""

from __future__ import annotations

from consumer.settings import ConsumerSettings
from consumer.sinks.base import Sink, SinkContext
from consumer.stats import Event, Outcome
from tests.unit.consumer.sinks.build import STATS, encoded, picture, presented


def test_a_sink_does_nothing_and_goes_on_for_ever() -> None:
    sink = Sink()
    sink.present(presented(picture()))
    sink.receive(encoded(1)[0])
    sink.outcome(Outcome(0, 1, 2, None, Event.LATE))
    assert sink.tick() is True
    sink.close()


def test_a_sink_is_told_whom_it_serves() -> None:
    settings = ConsumerSettings(name="wall", stream="door")
    context = SinkContext(settings, lambda: STATS)
    assert (context.name, context.stream, context.settings) == ("wall", "door", settings)
    assert context.stats() is STATS


def test_it_asks_for_neither_encoded_frames_nor_outcomes() -> None:
    assert (Sink.wants_encoded, Sink.wants_outcomes) == (False, False)
