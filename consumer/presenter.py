"""Presents every frame in every sink, on the main thread of the command line."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from threading import Event
from typing import Final

from fanlight.common.model.frame import EncodedFrame
from fanlight.common.model.result import Result
from fanlight.common.runtime.memory import give_back_memory
from fanlight.consumer.reception import Reception
from fanlight.consumer.settings import ConsumerSettings, PlayoutMode
from fanlight.consumer.sink_spec import SinkSpec
from fanlight.consumer.sinks import open_sink
from fanlight.consumer.sinks.base import Sink, SinkContext
from fanlight.consumer.stats import TraceRow

# Sinks get a tick at least ten times a second; while frames arrive, a little earlier, together with a
# frame, which saves a wake-up.
_TICK_S: Final = 0.1
_EARLY_TICK_S: Final = 0.04
# By then all modules are imported, including those for the first frame.
_WARM_UP_TICKS: Final = 20
# Rows are written in batches, which takes a third of the time.
_TRACE_TICKS: Final = 5
# Limit of queued rows: one minute at 60 fps, in case a sink blocks.
_MAX_ROWS: Final = 3600


class Presenter:
    """Receives frames and presents them until it is stopped.

    Args:
        specs: the sinks to open, in order.
        stopping: ends `run` when set.
    """

    def __init__(self, settings: ConsumerSettings, specs: Sequence[SinkSpec], stopping: Event) -> None:
        self.reception = Reception(settings, on_encoded=self._on_encoded, on_found=self._on_found)
        self._settings = settings
        self._specs = specs
        self._stopping = stopping
        self._rows: deque[TraceRow] = deque(maxlen=_MAX_ROWS)
        self._sinks: list[Sink] = []
        # Only the sinks that override the method: these lists are traversed for every frame.
        self._presenting: list[Sink] = []
        self._recording: list[Sink] = []
        self._finding: list[Sink] = []
        self._tracing: list[Sink] = []

    def run(self) -> None:
        """Open the sinks, present until the end, close everything.

        Raises:
            ConfigError: a sink cannot be opened.
            FanlightError: a sink failed while running, or the broker refused the consumer.
        """
        with ExitStack() as stack:
            context = SinkContext(self._settings, self.reception.stats, self.reception)
            for spec in self._specs:
                sink = open_sink(spec, context)
                stack.callback(sink.close)
                self._sinks.append(sink)
            self._presenting = self._overriding("present")
            self._recording = self._overriding("receive")
            self._finding = self._overriding("result")
            self._tracing = self._overriding("trace")
            if self._tracing:
                self.reception.counters.on_trace = self._rows.append
                stack.callback(self._pass_on_rows)
            stack.callback(self.reception.stop)
            self.reception.start()
            self._present_all()
        if self.reception.failure is not None:
            raise self.reception.failure

    def _overriding(self, method: str) -> list[Sink]:
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
                if ticks == _WARM_UP_TICKS:
                    give_back_memory()
                if ticks % _TRACE_TICKS == 0:
                    self._pass_on_rows()
                # Every sink gets its tick, even after one has returned False.
                going_on = [sink.tick() for sink in self._sinks]
                if not all(going_on):
                    return
            presented = self._present_next(min(_TICK_S, end_s - now_s))
            shown += presented
            now_s = time.monotonic()
            if presented and next_tick_s - now_s < _EARLY_TICK_S:
                next_tick_s = now_s  # together with a frame

    def _present_next(self, timeout_s: float) -> bool:
        # A separate function, so that the frame's memory is free while the next one is decoded.
        frame = self.reception.take(timeout_s)
        if frame is None:
            return False
        for sink in self._presenting:
            sink.present(frame)
        if self._settings.playout is PlayoutMode.SYNC:
            self.reception.yield_to_viewers()
        if self._settings.work_s:
            self._stopping.wait(self._settings.work_s)
        return True

    def _pass_on_rows(self) -> None:
        if not self._tracing:
            return
        self.reception.counters.count_presented()
        while self._rows:
            row = self._rows.popleft()
            for sink in self._tracing:
                sink.trace(row)

    def _on_encoded(self, frame: EncodedFrame) -> None:
        for sink in self._recording:
            sink.receive(frame)

    def _on_found(self, result: Result) -> None:
        for sink in self._finding:
            sink.result(result)
