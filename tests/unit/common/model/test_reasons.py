from __future__ import annotations

import errno

import pytest

from fanlight.common.model.reasons import reason


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x"), "No space left on device"),
        (OSError("torn"), "torn"),
        (TimeoutError(), "TimeoutError"),
        (ValueError("7 is odd"), "7 is odd"),
    ],
)
def test_an_error_in_words(error: Exception, words: str) -> None:
    assert reason(error) == words
