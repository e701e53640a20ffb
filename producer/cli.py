"""The producer's command line."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence

from common.settings import OneLineParser, add_flags, resolve
from common.shell.main import run_command
from common.shell.signals import StopSignals
from producer.settings import OPTIONS, ProducerSettings

_LOG = logging.getLogger("producer")

_EPILOG = """\
Every setting also comes from the environment, under the name in brackets; flags win.
Exit codes: 0 done, 1 failed while running, 2 unusable arguments."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m producer`; returns the exit code."""
    parser = OneLineParser(
        prog="producer",
        description="Publish one live picture source to a RabbitMQ fanout exchange.",
        epilog=_EPILOG,
    )
    add_flags(parser, OPTIONS)
    flags = vars(parser.parse_args(argv))
    return run_command("producer", lambda: _run(ProducerSettings(**resolve(OPTIONS, flags, os.environ))))


def _run(settings: ProducerSettings) -> None:
    ended = threading.Event()
    with StopSignals(ended.set):
        # Codecs and the AMQP client are imported late: --help and a bad flag answer at once.
        from producer.pipeline import Pipeline
        from producer.source import make_source

        source = make_source(settings.source, loop=settings.loop, fps=settings.fps, size=settings.size)
        pipeline = Pipeline(settings, source, ended)
        _LOG.info("%s as %s to %s, stream %s", source, settings.codec, settings.url_shown, settings.stream)
        try:
            pipeline.start()
            ended.wait(settings.duration_s)
        finally:
            pipeline.stop()
    stats = pipeline.stats()
    _LOG.info(
        "published %d of %d pictures (%d skipped, %d unwatched, %d stale), %d keyframes, %.1f MB",
        stats.published,
        stats.captured,
        stats.skipped,
        stats.unwatched,
        stats.stale,
        stats.keyframes,
        stats.published_bytes / 1e6,
    )
    if pipeline.failure is not None:
        raise pipeline.failure
