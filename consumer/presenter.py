"""The presenting side of the command line: every frame goes to every sink, in the main thread."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from threading import Event
from typing import Final

from fanlight.common.model.frame import EncodedFrame
from fanlight.common.runtime.memory import give_back_memory
from fanlight.consumer.reception import Reception
from fanlight.consumer.settings import ConsumerSettings, PlayoutMode
from fanlight.consumer.sink_spec import SinkSpec
from fanlight.consumer.sinks import open_sink
from fanlight.consumer.sinks.base import Sink, SinkContext
from fanlight.consumer.stats import TraceRow

# Sinks are promised a tick at least ten times a second. While frames come, it is made a little earlier,
# together with one of them: one wake-up less.
_TICK_S: Final = 0.1
_EARLY_TICK_S: Final = 0.04
# By then everything is imported, also what only the first frame asks for.
_SETTLED_TICKS: Final = 20
# Many rows at a time cost a third of one at a time.
_TRACE_TICKS: Final = 5
# Rows that wait for the next tick; a minute of 60 fps, should a sink block that long.
_MAX_ROWS: Final = 3600


class Presenter:
    """Takes frames from its own reception and shows them until it is stopped.

    Args:
        specs: the sinks to open, in order.
        stopping: set from outside to end.
    """

    def __init__(self, settings: ConsumerSettings, specs: Sequence[SinkSpec], stopping: Event) -> None:
        self.reception = Reception(settings, on_encoded=self._on_encoded)
        self._settings = settings
        self._specs = specs
        self._stopping = stopping
        self._rows: deque[TraceRow] = deque(maxlen=_MAX_ROWS)
        self._sinks: list[Sink] = []
        # Only those that do something with it: the one list is gone through for every frame.
        self._presenting: list[Sink] = []
        self._recording: list[Sink] = []
        self._tracing: list[Sink] = []

    def run(self) -> None:
        """Open the sinks, receive and present, close everything.

        Raises:
            ConfigError: a sink cannot be opened.
            FanlightError: a sink failed while running, or the broker refused the consumer.
        """
        with ExitStack() as stack:
            context = SinkContext(self._settings, self.reception.stats)
            for spec in self._specs:
                sink = open_sink(spec, context)
                stack.callback(sink.close)
                self._sinks.append(sink)
            self._presenting = self._that_override("present")
            self._recording = self._that_override("receive")
            self._tracing = self._that_override("trace")
            if self._tracing:
                self.reception.counters.on_trace = self._rows.append
                stack.callback(self._pass_on_rows)
            stack.callback(self.reception.stop)
            self.reception.start()
            self._present_all()
        if self.reception.failure is not None:
            raise self.reception.failure

    def _that_override(self, method: str) -> list[Sink]:
        return [sink for sink in self._sinks if getattr(type(sink), method) is not getattr(Sink, method)]

    def _present_all(self) -> None:
        now_s = next_tick_s = time.monotonic()
        ticks = shown = 0
        end_s = math.inf if self._settings.duration_s is None else now_s + self._settings.duration_s
        while now_s < end_s and shown != self._settings.frames:
            if now_s >= next_tick_s:
                if self._stopping.is_set() or self.reception.ended:
                    return
                next_tick_s = now_s + _TICK_S
                ticks += 1
                if ticks == _SETTLED_TICKS:
                    give_back_memory()
                if ticks % _TRACE_TICKS == 0:
                    self._pass_on_rows()
                # Every sink gets its tick, also after one that asks to end.
                going_on = [sink.tick() for sink in self._sinks]
                if not all(going_on):
                    return
            presented = self._present_next(min(_TICK_S, end_s - now_s))
            shown += presented
            now_s = time.monotonic()
            if presented and next_tick_s - now_s < _EARLY_TICK_S:
                next_tick_s = now_s  # together with a frame: one wake-up less

    def _present_next(self, timeout_s: float) -> bool:
        # In a function of its own: while the next frame is decoded, this one's memory is free.
        frame = self.reception.take(timeout_s)
        if frame is None:
            return False
        for sink in self._presenting:
            sink.present(frame)
        if self._settings.playout is PlayoutMode.SYNC:
            self.reception.let_others_show()
        if self._settings.work_s:
            self._stopping.wait(self._settings.work_s)
        return True

    def _pass_on_rows(self) -> None:
        if not self._tracing:
            return
        self.reception.counters.settle()
        while self._rows:
            row = self._rows.popleft()
            for sink in self._tracing:
                sink.trace(row)

    def _on_encoded(self, frame: EncodedFrame) -> None:
        for sink in self._recording:
            sink.receive(frame)
