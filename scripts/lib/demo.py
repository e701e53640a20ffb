"""The command line of `scripts/demo`: one producer and several consumers, live in one terminal."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty
from typing import TypeVar

from fanlight.common.model.errors import FanlightError
from fanlight.common.model.units import COUNT, DURATION
from fanlight.common.runtime.argv import hide_secrets
from fanlight.common.runtime.main import OneLineParser
from scripts.lib import broker
from scripts.lib.bootstrap import PYTHON, RUN, ensure_venv
from scripts.lib.child import Child, ChildEvent, ChildEvents, EventKind
from scripts.lib.instance import Instance
from scripts.lib.live import Display, PlainDisplay, TableDisplay
from scripts.lib.ports import free_ports, is_free

_DESCRIPTION = """\
Make everything ready (.venv, a broker), then show one producer: as a page for browsers, and in several
consumers with their live status, in windows where there is a display. A hub decodes for all of them.
Ctrl-C ends it and removes what it started."""
_EPILOG = """\
FANLIGHT_* variables reach what it starts. Exit codes: 0 done, 1 failed, 2 unusable arguments."""
_T = TypeVar("_T")
_PRODUCER = "producer"
_HUB = "hub"
_WALL = "wall"
_WALL_PORT = 8080
# Where a hub shares pictures; without it every consumer decodes for itself.
_SHARED_MEMORY = Path("/dev/shm")
_KIND_END_S = 5.0
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(argv: list[str] | None = None) -> int:
    """Run `scripts/demo`; returns the exit code."""
    options = _parser().parse_args(argv)
    if argv is None and (exposed := hide_secrets()) is not None:
        show(exposed)
    for number in _STOPPING:
        signal.signal(number, signal.default_int_handler)
    instance, found = Instance("default"), None
    try:
        ensure_venv(show, RUN)
        found = broker.up(instance, show)
        return Demo(options, broker.environment(found, os.environ)).run()
    except KeyboardInterrupt:
        return 0
    except (FanlightError, OSError) as error:
        show(str(error))
        return 1
    finally:
        if found is not None and found.started:
            _stop_broker(instance)


def _stop_broker(instance: Instance) -> None:
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)  # it takes two seconds, and half of it is no use
    try:
        broker.down(instance)
        show("the broker is stopped and removed")
    except (FanlightError, OSError) as error:
        show(f"{error}; try: scripts/broker down")


def show(text: str) -> None:
    print(f"demo: {text}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="demo", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--seconds", type=_reader(_duration), metavar="N", help="end by itself")
    parser.add_argument("--source", metavar="SOURCE", help="for the producer (default: a test pattern)")
    parser.add_argument("--codec", metavar="CODEC", help="for the producer (default: h264)")
    parser.add_argument("--consumers", type=_reader(COUNT.read), default=4, metavar="N", help="default: 4")
    return parser


def _duration(text: str) -> float:
    """Seconds, as the option's name says, or as 20s, 2m."""
    return DURATION.read(f"{text}s" if text[-1:].isdigit() else text)


def _reader(parse: Callable[[str], _T]) -> Callable[[str], _T]:
    def read(text: str) -> _T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} cannot be used: allowed is {error}") from None

    return read


class Demo:
    """The programs, and what is shown of them. One thread: all that happens comes through one queue."""

    def __init__(self, options: argparse.Namespace, environment: Mapping[str, str]) -> None:
        self._events: ChildEvents = ChildEvents()
        self._seconds: float | None = options.seconds
        # A program that is not on a terminal of its own prints whole lines.
        self._environment = {**environment, "PYTHONUNBUFFERED": "1"}
        self._names = [f"c{number}" for number in range(1, options.consumers + 1)]
        self._wall_port = _WALL_PORT if is_free(_WALL_PORT) else free_ports(1)[0]
        self._display: Display = PlainDisplay(sys.stdout)
        self._children: dict[str, Child] = {}
        producer = ["-m", "producer"]
        if options.source is not None:
            # Not as an argument, which the process list shows: a URL may hold a password.
            self._environment["FANLIGHT_SOURCE"] = options.source
            producer += ["--loop"]
        if options.codec is not None:
            producer += ["--codec", options.codec]
        window = ["--sink", "window"] if _has_display() else []
        hub = ["-m", "consumer", "--name", _HUB, "--sink", "share"]
        self._commands = {
            _PRODUCER: producer,
            _WALL: ["-m", "consumer.wall", "--listen", f"127.0.0.1:{self._wall_port}"],
            **({_HUB: hub} if _SHARED_MEMORY.is_dir() else {}),
            **{
                name: ["-m", "consumer", "--name", name, "--sink", "status", *window]
                for name in self._names
            },
        }

    def run(self) -> int:
        """Run until a signal, the end of the time, or the end of what there is to show."""
        for number in _STOPPING:
            signal.signal(number, lambda *_: self._events.put(ChildEvent(EventKind.SIGNAL)))
        show(f"http://localhost:{self._wall_port} shows it in any browser")
        show("Ctrl-C ends it. Join from another terminal, in this folder:")
        show("  FANLIGHT_URL=$(scripts/broker url) .venv/bin/python -m consumer --name me")
        if sys.stdout.isatty():
            self._display = TableDisplay(sys.stdout, self._names)
        try:
            for name, arguments in self._commands.items():
                self._children[name] = Child(
                    name,
                    [str(PYTHON), *arguments],
                    cwd=Path.cwd(),
                    environment=self._environment,
                    events=self._events,
                )
            deadline = None if self._seconds is None else time.monotonic() + self._seconds
            while self._handle(deadline) and self._is_worth_showing():
                pass
            self._interrupt_all()
        finally:
            self._kill_all()
        return self._exit_code()

    def _handle(self, deadline: float | None) -> bool:
        """Wait for one event and show it; False if it is a signal, or the time is over."""
        try:
            wait_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            event = self._events.get(timeout=wait_s)
        except Empty:
            return False
        match event.kind:
            case EventKind.SIGNAL:
                return False
            case EventKind.STATUS:
                self._display.status(event.name, event.text)
            case EventKind.NOTE:
                by_its_name = event.name in (_PRODUCER, _WALL)  # they write it themselves
                self._display.note(event.text if by_its_name else f"{event.name}: {event.text}")
            case EventKind.ENDED:
                code = self._children[event.name].exit_code
                if code != 0:
                    self._display.note(f"demo: {event.name} ended with exit code {code}")
        return True

    def _running(self) -> list[Child]:
        return [child for child in self._children.values() if child.exit_code is None]

    def _is_worth_showing(self) -> bool:
        """Somebody sends and somebody watches (a window that is closed ends its consumer)."""
        names = {child.name for child in self._running()}
        return _PRODUCER in names and not names.isdisjoint(self._names)

    def _interrupt_all(self) -> None:
        """One SIGINT for each; return when all have ended, or somebody insists, or it takes too long."""
        for child in self._running():
            child.interrupt()
        deadline = time.monotonic() + _KIND_END_S
        while self._running() and self._handle(deadline):
            pass

    def _kill_all(self) -> None:
        for child in self._running():
            self._display.note(f"demo: {child.name} does not end: killed")
            child.kill()
        for child in self._children.values():
            child.join()
        while self._handle(time.monotonic()):
            pass  # their last lines

    def _exit_code(self) -> int:
        codes = [child.exit_code for child in self._children.values()]
        # The producer's first: with no source there is nothing to show, and its 2 means a bad argument.
        return next((code if code in {1, 2} else 1 for code in codes if code), 0)


def _has_display() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
