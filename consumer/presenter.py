"""The presenting side of the command line: every frame goes to every sink, in the main thread."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from threading import Event as Signal
from typing import Final

from fanlight.common.model.frame import EncodedFrame
from fanlight.common.runtime.memory import give_back_memory
from fanlight.consumer.frame import Frame
from fanlight.consumer.reception import Reception
from fanlight.consumer.settings import ConsumerSettings, PlayoutMode
from fanlight.consumer.sinks import SinkSpec, open_sink
from fanlight.consumer.sinks.base import Sink, SinkContext
from fanlight.consumer.stats import Outcome

# Sinks are promised a tick at least ten times a second. While frames come, it is made a little earlier,
# together with one of them: one wake-up less.
_TICK_S: Final = 0.1
_EARLY_TICK_S: Final = 0.04
# By then everything is imported, also what only the first frame asks for.
_SETTLED_TICKS: Final = 20
# Many fates at a time cost a third of one at a time.
_OUTCOME_TICKS: Final = 5
# Fates of frames that wait for the next tick; a minute of 60 fps, should a sink block that long.
_OUTCOMES: Final = 3600


class Presenter:
    """Takes frames from its own reception and shows them until it is told to stop.

    Args:
        specs: the sinks to open, in order.
        stopping: set from outside to end.
    """

    def __init__(self, settings: ConsumerSettings, specs: Sequence[SinkSpec], stopping: Signal) -> None:
        self._settings = settings
        self._stopping = stopping
        self._outcomes: deque[Outcome] = deque(maxlen=_OUTCOMES)
        self._sinks: list[Sink] = []
        self._encoded_sinks: list[Sink] = []
        self._outcome_sinks: list[Sink] = []
        self._shown = 0
        self._presenting: list[Callable[[Frame], None]] = []
        self.reception = Reception(settings, on_encoded=self._on_encoded)
        self._specs = specs
        self._let_others_show = settings.playout is PlayoutMode.SYNC

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
            # Called for every frame: only those that do something with it.
            self._presenting = [
                sink.present for sink in self._sinks if type(sink).present is not Sink.present
            ]
            self._encoded_sinks = [sink for sink in self._sinks if sink.wants_encoded]
            self._outcome_sinks = [sink for sink in self._sinks if sink.wants_outcomes]
            if self._outcome_sinks:
                self.reception.on_outcome(self._outcomes.append)
                stack.callback(self._hand_out_outcomes)
            stack.callback(self.reception.stop)
            self.reception.start()
            self._present_all()
        if self.reception.failure is not None:
            raise self.reception.failure

    def _present_all(self) -> None:
        now_s = next_tick_s = time.monotonic()
        ticks = 0
        end_s = math.inf if self._settings.duration_s is None else now_s + self._settings.duration_s
        while now_s < end_s and self._shown != self._settings.frames:
            if now_s >= next_tick_s:
                if self._stopping.is_set() or self.reception.ended:
                    return
                next_tick_s = now_s + _TICK_S
                ticks += 1
                if ticks == _SETTLED_TICKS:
                    give_back_memory()
                if ticks % _OUTCOME_TICKS == 0:
                    self._hand_out_outcomes()
                # Every sink gets its tick, also behind one that asks to end.
                going_on = [sink.tick() for sink in self._sinks]
                if not all(going_on):
                    return
            shown = self._show_next(min(_TICK_S, end_s - now_s))
            now_s = time.monotonic()
            if shown and next_tick_s - now_s < _EARLY_TICK_S:
                next_tick_s = now_s  # together with a frame: one wake-up less

    def _show_next(self, timeout_s: float) -> bool:
        # In a function of its own: while the next frame is decoded, nobody holds this one's memory.
        frame = self.reception.take(timeout_s)
        if frame is None:
            return False
        for present in self._presenting:
            present(frame)
        self._shown += 1
        if self._let_others_show:
            self.reception.let_others_show()
        if self._settings.work_s:
            self._stopping.wait(self._settings.work_s)
        return True

    def _hand_out_outcomes(self) -> None:
        if not self._outcome_sinks:
            return
        self.reception.settle()
        while self._outcomes:
            outcome = self._outcomes.popleft()
            for sink in self._outcome_sinks:
                sink.outcome(outcome)

    def _on_encoded(self, frame: EncodedFrame) -> None:
        for sink in self._encoded_sinks:
            sink.receive(frame)
