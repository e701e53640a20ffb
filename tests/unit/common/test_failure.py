from __future__ import annotations

import logging

import pytest

from fanlight.common.failure import failure
from fanlight.common.model.errors import EncodeError

LOG = logging.getLogger("fanlight.x")


def test_an_error_of_ours_is_the_failure(caplog: pytest.LogCaptureFixture) -> None:
    error = EncodeError("no such codec")
    assert failure(LOG, "encode", error) is error
    assert caplog.messages == []


def test_an_unexpected_error_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    found = failure(LOG, "encode", ZeroDivisionError("by 0"))
    assert str(found) == "encode: internal error: ZeroDivisionError('by 0')"
    assert caplog.messages == ["encode: internal error"]
    assert caplog.records[0].exc_info is not None


def test_a_handler_of_the_program_that_raises_does_not_hide_the_failure() -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError(record)

    LOG.addHandler(handler := Broken())
    try:
        assert "by 0" in str(failure(LOG, "encode", ZeroDivisionError("by 0")))
    finally:
        LOG.removeHandler(handler)
