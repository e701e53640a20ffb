"""What the tests of the wall, and of the sink that serves it, share."""

from __future__ import annotations

import pytest

from fanlight.consumer.wall import viewer_queue


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a viewer is dropped for is tested elsewhere, and depends on the speed of the machine."""
    monkeypatch.setattr(viewer_queue, "_LONGEST_WAIT_NS", 1 << 60)
    monkeypatch.setattr(viewer_queue, "_BEHIND_NS", 1 << 60)
