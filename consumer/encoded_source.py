"""Takes frames of the stream from the mailbox, and hands them out as they came, not decoded."""

from __future__ import annotations

from typing import Final

import numpy as np

from fanlight.consumer.frame import Frame, UndecodedFrame
from fanlight.consumer.playout import ReceivedFrame
from fanlight.consumer.stream_source import StreamSource

_NO_PIXELS: Final = np.empty((0, 0, 3), np.uint8)


class EncodedSource(StreamSource):
    """Belongs to the presenting thread. Loads no codec."""

    def _present(self, frame: ReceivedFrame, due_ns: int | None) -> Frame | None:
        presented = self._deliver(frame, _NO_PIXELS, due_ns)
        if presented is not None:
            return UndecodedFrame(*presented._replace(encoded_body=frame.frame.body))
        if not frame.header.codec.intra_only:
            self._mailbox.clear()  # those that follow refer to it
        return None
