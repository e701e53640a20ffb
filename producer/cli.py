"""The producer's command line."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from fanlight.common.clock import monotonic_ns
from fanlight.common.observe import Figure, Health, monitored
from fanlight.common.runtime.credential_files import with_access
from fanlight.common.runtime.main import command_line
from fanlight.common.runtime.memory import lean_process
from fanlight.common.runtime.options import Operation
from fanlight.common.runtime.signals import StopSignals
from fanlight.producer.settings import OPTIONS, ProducerSettings
from fanlight.producer.stats import ProducerStats

_LOG = logging.getLogger("producer")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m producer`; returns the exit code."""
    lean_process()
    return command_line(
        "producer",
        "Publish one live picture source to a RabbitMQ fanout exchange, or without a broker.",
        OPTIONS,
        argv,
        lambda values, operation: _run(ProducerSettings(**with_access(values)), operation),
    )


def _run(settings: ProducerSettings, operation: Operation) -> int | None:
    if operation.doctor:
        from fanlight.producer.doctor import examine

        return examine(settings)
    ended = threading.Event()
    with StopSignals(ended.set):
        # Codecs and the AMQP client are imported late: --help and a bad flag answer at once.
        from fanlight.producer.metrics import producer_figures, producer_health
        from fanlight.producer.pipeline import Pipeline
        from fanlight.producer.source import make_source

        source = make_source(
            settings.source,
            loop=settings.loop,
            fps=settings.fps,
            size=settings.size,
            max_pixels=settings.max_pixels,
        )
        pipeline = Pipeline(settings, source, ended)

        def health() -> Health:
            return producer_health(
                pipeline.details(), monotonic_ns(), operation.stall_s, watched=pipeline.watched
            )

        def figures() -> tuple[Figure, ...]:
            return producer_figures(
                settings.stream, pipeline.details(), watched=pipeline.watched, healthy=health().ok
            )

        with monitored(operation.metrics, figures, health):
            _LOG.info(
                "%s as %s to %s, stream %s", source, settings.codec, settings.url_shown, settings.stream
            )
            try:
                pipeline.start()
                ended.wait(settings.duration_s)
            finally:
                pipeline.stop()
    stats = pipeline.stats()
    if stats.published or pipeline.failure is None:
        _report(stats)
    if pipeline.failure is not None:
        raise pipeline.failure
    return None


def _report(stats: ProducerStats) -> None:
    _LOG.info(
        "published %d of %d pictures (%d skipped, %d unwatched, %d stale), %d keyframes, %.1f MB%s",
        stats.published,
        stats.captured,
        stats.skipped,
        stats.unwatched,
        stats.stale,
        stats.keyframes,
        stats.published_bytes / 1e6,
        _seldom(stats),
    )


def _seldom(stats: ProducerStats) -> str:
    """What is seldom."""
    told = [
        (stats.unencodable, "could not be encoded"),
        (stats.unreadable, "unreadable"),
        (stats.limited, "beyond the rate of --fps"),
        (stats.unsent, "frames not sent in time"),
        (stats.refused, "refused"),
    ]
    return "".join(f", {number} {what}" for number, what in told if number)
