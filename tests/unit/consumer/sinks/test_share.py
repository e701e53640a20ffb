"""`share`: how much memory it takes. What it does for consumers is in tests/integration/test_hub.py."""

from __future__ import annotations

import secrets
from pathlib import Path

import numpy as np
import pytest

from common.sharing.hosts import FOLDER
from consumer.frame import Frame
from consumer.settings import ConsumerSettings
from consumer.sinks import SinkSpec
from consumer.sinks.share import ShareSink
from tests.unit.consumer.sinks.build import FPS, STATS, header

INTERVAL_NS = round(1e9 / FPS)


def test_slots_that_a_burst_needed_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 1_000_000_000_000
    monkeypatch.setattr("consumer.sinks.share.monotonic_ns", lambda: now_ns)
    stream = f"test-{secrets.token_hex(4)}"
    settings = ConsumerSettings(
        stream=stream, url="tcp+multiplex://127.0.0.1:7999", sinks=(SinkSpec("share"),)
    )
    sink = ShareSink(settings, lambda: STATS)
    image = np.zeros((48, 64, 3), np.uint8)

    def size() -> int:
        return sum(file.stat().st_size for file in Path(FOLDER).glob(f"*{stream}*"))

    def present(step_ns: int, frames: int) -> None:
        nonlocal now_ns
        for seq in range(frames):
            now_ns += step_ns
            sink.present(Frame(image, header(seq), now_ns, now_ns, 0.01, 0))

    try:
        present(INTERVAL_NS, 60)
        usual = size()
        assert usual > image.nbytes * FPS // 2
        present(INTERVAL_NS // 5, 200)
        assert size() > 2 * usual
        present(INTERVAL_NS, 60)
        assert size() > 2 * usual, "not at once: it may come again"
        present(INTERVAL_NS, 20 * int(FPS))
        assert size() == usual
        present(INTERVAL_NS // 2, 20 * int(FPS))
        assert size() > usual, "nor while the source is faster than it says"
    finally:
        sink.close()
