"""Reads one stream on a thread of its own, for an event loop or for a consumer of several streams."""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import Final

from fanlight.common.failure import failure
from fanlight.common.model.errors import FanlightError
from fanlight.common.runtime.waker import Waker
from fanlight.consumer.delivery import FramePixels
from fanlight.consumer.frame import Frame
from fanlight.consumer.held_delivery import Held, HeldDelivery
from fanlight.consumer.merge import Input, Merge
from fanlight.consumer.reception import Reception
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.sinks.share import ShareSink
from fanlight.consumer.stats import ConsumerCounters, Outcome

_LOG: Final = logging.getLogger(__name__)

_STOP_S: Final = 1.5
# A frame that is not fetched within this time makes way for a newer one.
_FETCH_S: Final = 0.02
# A hub has to write its liveness time ten times a second.
_TICK_S: Final = 0.1


class ReadingThread:
    """Takes a frame while a call of the merge waits for one; a hub takes every frame.

    Attributes:
        input: where its frames are, before they are presented.
        failure: why it ended by itself; None while it runs and after `stop`.
    """

    def __init__(self, settings: ConsumerSettings, pixels: FramePixels, decode: bool = True) -> None:
        self._settings = settings
        self._merge: Merge[Held, Frame] = Merge(())
        self._delivery = HeldDelivery(
            int(settings.max_age_s * 1e9), ConsumerCounters(), pixels=pixels, on_wait=self._nothing_newer
        )
        self.reception = Reception(settings, delivery=self._delivery, decode=decode)
        self._waker = Waker()
        self.input: Input[Held, Frame] = Input(
            self._waker.wake, self._present, partial(self._delivery.drop, outcome=Outcome.SUPERSEDED)
        )
        self.failure: FanlightError | None = None
        self._hub: ShareSink | None = None
        # Whether a frame that was taken is presented before the next one is taken: later ones refer to one
        # that is not decoded, and no other member of a pool gets it.
        self._keeps = not decode or settings.pool is not None
        # Frames that are not decoded refer to one another: the (epoch, seq) of the last one presented.
        self._decode = decode
        self._last: tuple[int, int] | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self, merge: Merge[Held, Frame]) -> None:
        """Subscribe, and start the thread.

        Raises:
            SinkError: with `share`, this host has no shared memory.
        """
        self._merge = merge
        if self._settings.shares:
            self._hub = ShareSink(self._settings, self.reception.stats, ended=self.reception.ended_in_order)
        self.reception.start()
        # A daemon, so that a program that ends with an exception does not wait for it.
        thread = threading.Thread(target=self._run, name=f"read {self._settings.stream}", daemon=True)
        thread.start()
        self._thread = thread

    def end(self) -> None:
        """Make the thread unsubscribe and end, soon."""
        self._stopping = True
        self.reception.stop(0)
        self._waker.wake()
        if self._thread is None:
            self._close_hub()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the thread."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def finish_presented(self) -> None:
        """The program has finished with its last frame."""
        self._delivery.finish_presented()

    def _present(self, held: Held) -> Frame | None:
        """Count the frame as presented and return it; None if it is too old by now.

        One that is not decoded is dropped, too, if the program did not get the one that it refers to.
        """
        header = held.frame.header
        if not (self._decode or header.key or self._last == (header.epoch, header.seq - 1)):
            self._delivery.drop(held, Outcome.AWAITING_KEY)
            return None
        frame = self._delivery.present_held(held)
        if frame is not None:
            self._last = header.epoch, header.seq
        return frame

    def _run(self) -> None:
        merge = self._merge
        try:
            while not self._stopping and not self.reception.ended:
                if self._hub is not None:
                    self._take_and_share(self._hub)
                elif merge.wanted(self.input):
                    self._take()
                else:
                    self._waker.wait()
            self.failure = self.reception.failure
        except Exception as error:  # noqa: BLE001 - the end of a thread: its owner has to know
            self.failure = failure(_LOG, threading.current_thread().name, error)
        finally:
            merge.end(self.input)
            if self.failure is not None and not merge.ended:
                _LOG.warning("stream %s ends, the others go on: %s", self._settings.stream, self.failure)
            self.reception.stop(_STOP_S)
            self._close_hub()

    def _close_hub(self) -> None:
        hub, self._hub = self._hub, None
        if hub is not None:
            hub.close()

    def _nothing_newer(self) -> None:
        self._merge.put(self.input, None)

    def _take(self) -> None:
        if self._keeps and self.input.newest is not None:
            self._nothing_newer()
            self._waker.wait(_FETCH_S)
            return
        frame = self.reception.take(None if self.input.current else 0.0)
        self._merge.put(self.input, None if frame is None else self._delivery.hold(frame))
        if frame is not None:
            self._waker.wait(_FETCH_S)

    def _take_and_share(self, hub: ShareSink) -> None:
        frame = self.reception.take(_TICK_S)
        if not self.reception.ended:
            if frame is not None:
                hub.present(frame)
            hub.tick()
        self._merge.put(self.input, None if frame is None else self._delivery.hold(frame))
