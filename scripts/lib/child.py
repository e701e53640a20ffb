"""A program that the demo runs: its lines and its end arrive as events in one queue."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from queue import SimpleQueue
from typing import IO


class EventKind(StrEnum):
    STATUS = "status"  # a line on stdout
    NOTE = "note"  # a line on stderr
    ENDED = "ended"  # the program has ended, and all of its lines came before
    SIGNAL = "signal"  # somebody wants the demo to end


@dataclass(frozen=True, slots=True)
class ChildEvent:
    kind: EventKind
    name: str = ""
    text: str = ""


# Not queue.Queue: a signal handler may put into this one while the main thread is inside its `get`.
ChildEvents = SimpleQueue[ChildEvent]


class Child:
    """One running program. `name` marks its events."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        events: ChildEvents,
    ) -> None:
        self.name = name
        self._events = events
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # Ctrl-C in the terminal reaches the demo only. It passes one SIGINT on; a second one would
            # make the program drop everything.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._follow, name=f"follow {name}")
        self._reader.start()

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        self._process.kill()

    def join(self) -> None:
        """Wait for the end, and for the last line."""
        self._reader.join()

    def _follow(self) -> None:
        notes = threading.Thread(
            target=self._read, args=(self._process.stderr, EventKind.NOTE), name=f"notes of {self.name}"
        )
        notes.start()
        self._read(self._process.stdout, EventKind.STATUS)
        notes.join()
        self._process.wait()
        self._events.put(ChildEvent(EventKind.ENDED, self.name))

    def _read(self, stream: IO[str] | None, kind: EventKind) -> None:
        if stream is None:
            return
        with stream:
            for line in stream:
                self._events.put(ChildEvent(kind, self.name, line.rstrip()))
