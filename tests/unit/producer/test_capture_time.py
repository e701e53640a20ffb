from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from fanlight.common.model.errors import ConfigError
from fanlight.producer.capture_time import present_time

NOW = 1_700_000_000_000_000_000
SECOND = 10**9


@pytest.mark.parametrize("given", [NOW, np.int64(NOW), np.uint64(NOW), np.array(NOW), NOW - 599 * SECOND])
def test_whole_numbers_of_any_kind_are_taken(given: Any) -> None:
    taken = present_time(given, NOW, 0.5)
    assert type(taken) is int
    assert taken == given


@pytest.mark.parametrize("given", [float(NOW), np.float64(NOW), str(NOW), Decimal(NOW), True, (NOW,), b"1"])
def test_other_types_are_refused_by_name(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"^capture_ns .*: allowed is a whole number.*time_ns"):
        present_time(given, NOW, 0.5)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (NOW // SECOND, "it is 54 years before now"),
        (NOW // 10**6, "it is 54 years before now"),
        (NOW // 1000, "it is 54 years before now"),
        (5 * 3600 * SECOND, "it is 54 years before now"),  # monotonic
        (NOW + 3600 * SECOND, "it is 60 minutes after now"),  # local time
        (NOW - 601 * SECOND, "before now"),
        (-NOW, "before now"),
        (10**400, "years after now"),
    ],
)
def test_what_is_no_present_time_is_refused_by_name(given: int, says: str) -> None:
    with pytest.raises(ConfigError, match=f"^capture_ns .*{says}; allowed is .*time_ns"):
        present_time(given, NOW, 0.5)


def test_a_producer_that_publishes_old_pictures_may_send_them() -> None:
    assert present_time(NOW - 3000 * SECOND, NOW, 3600.0) == NOW - 3000 * SECOND
