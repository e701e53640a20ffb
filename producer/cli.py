"""The producer's command line."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fanlight.common.clock import monotonic_ns
from fanlight.common.observe import Health, monitored
from fanlight.common.runtime.main import command_line
from fanlight.common.runtime.memory import lean_process
from fanlight.common.runtime.settings import Operation
from fanlight.common.runtime.signals import StopSignals
from fanlight.producer.settings import ProducerSettings
from fanlight.producer.stats import ProducerStats

if TYPE_CHECKING:
    from fanlight.common.observe.exposition import MetricSet

_LOG = logging.getLogger("producer")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m producer`; returns the exit code."""
    lean_process()
    return command_line(
        "producer",
        "Publish one live picture source to a RabbitMQ fanout exchange, or without a broker.",
        [ProducerSettings],
        argv,
        lambda load: _run(load(ProducerSettings), load(Operation)),
        examples=(
            "--source 0 --size 1280x720           # the first camera, to the local broker",
            "--source clip.mp4 --loop --url amqp://producer@broker.lan/fanlight --password-file FILE",
        ),
    )


def _run(settings: ProducerSettings, operation: Operation) -> int | None:
    if operation.doctor:
        from fanlight.producer.doctor import examine

        return examine(settings)
    ended = threading.Event()
    with StopSignals(ended.set):
        # Codecs and the AMQP client are imported late: --help and a bad flag answer at once.
        from fanlight.producer.metrics import add_producer_metrics, producer_health
        from fanlight.producer.pipeline import Pipeline
        from fanlight.producer.source import make_source

        source = make_source(
            settings.source,
            loop=settings.loop,
            fps=settings.fps,
            size=settings.size,
            max_pixels=settings.max_pixels,
            show_source=settings.show_source,
            deinterlace=settings.deinterlace,
        )
        pipeline = Pipeline(settings, source, ended)

        def health() -> Health:
            return producer_health(
                pipeline.metrics(), monotonic_ns(), operation.stall_s, watched=pipeline.watched
            )

        def add_metrics(metrics: MetricSet) -> None:
            add_producer_metrics(metrics, pipeline.metrics(), watched=pipeline.watched, healthy=health().ok)

        labels = {"stream": settings.stream}
        with monitored(operation.metrics, "fanlight_producer", labels, add_metrics, health):
            _LOG.info(
                "%s as %s to %s, stream %s", source, settings.codec, settings.address, settings.stream
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
    unusual = [
        (stats.unencodable, "could not be encoded"),
        (stats.unreadable, "unreadable"),
        (stats.limited, "beyond the rate of --fps"),
        (stats.unsent, "frames not sent in time"),
        (stats.refused, "refused"),
    ]
    _LOG.info(
        "published %d of %d pictures (%d skipped, %d unwatched, %d stale), %d keyframes, %.1f MB%s",
        stats.published,
        stats.captured,
        stats.skipped,
        stats.unwatched,
        stats.stale,
        stats.keyframes,
        stats.published_bytes / 1e6,
        "".join(f", {number} {text}" for number, text in unusual if number),
    )
