"""Commands configure logging for the whole process: here it is set back after each test."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    hook, in_threads, raises = sys.excepthook, threading.excepthook, logging.raiseExceptions
    levels = {name: logging.getLogger(name).level for name in ("", "pika")}
    yield
    sys.excepthook, threading.excepthook, logging.raiseExceptions = hook, in_threads, raises
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
