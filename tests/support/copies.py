"""How a program gets a copy of a value: `copy`, and `pickle` for another process."""

from __future__ import annotations

import copy
import pickle
from typing import TypeVar

import pytest

_T = TypeVar("_T")


def _pickled(value: _T) -> _T:
    copied: _T = pickle.loads(pickle.dumps(value))  # noqa: S301 - our own
    return copied


EVERY_COPY = pytest.mark.parametrize("copied", [_pickled, copy.copy, copy.deepcopy])
"""Parametrizes a test with `copied`, which takes a value and returns a copy."""
