from __future__ import annotations

import logging

import pytest

from fanlight.common.limited_log import LimitedLog


def test_one_line_a_second_says_how_many_were_held_back(caplog: pytest.LogCaptureFixture) -> None:
    limited = LimitedLog(logging.getLogger("fanlight.x"))
    for now_ns in (0, 1, 999_999_999, 1_000_000_000, 2_500_000_000):
        limited.warn(now_ns, "%s refused", now_ns)
    assert caplog.messages == [
        "0 refused",
        "1000000000 refused (and 2 more like it)",
        "2500000000 refused",
    ]
