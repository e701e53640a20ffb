"""The consumer's command line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from threading import Event

from common.settings import OneLineParser, add_flags, resolve
from common.shell.main import run_command
from common.shell.signals import StopSignals
from consumer.settings import OPTIONS, ConsumerSettings
from consumer.sinks import default_sinks, preload

_EPILOG = """\
Every setting also comes from the environment, under the name in brackets; flags win.
Exit codes: 0 done, 1 failed while running, 2 unusable arguments."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m consumer`; returns the exit code."""
    parser = OneLineParser(
        prog="consumer",
        description="Receive one stream through a queue of its own and present it, always fresh.",
        epilog=_EPILOG,
    )
    add_flags(parser, OPTIONS)
    flags = vars(parser.parse_args(argv))
    return run_command("consumer", lambda: _run(ConsumerSettings(**resolve(OPTIONS, flags, os.environ))))


def _run(settings: ConsumerSettings) -> None:
    stopping = Event()
    with StopSignals(stopping.set):
        specs = settings.sinks or default_sinks(os.environ)
        preload(specs)
        # Codecs and the AMQP client are imported late: --help and a bad flag answer at once.
        from consumer.presenter import Presenter

        Presenter(settings, specs, stopping).run()
