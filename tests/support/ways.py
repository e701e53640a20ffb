"""The ways by which a program hands a value on as another one."""

from __future__ import annotations

import copy
import pickle
from typing import TypeVar

import pytest

_T = TypeVar("_T")


def _pickled(value: _T) -> _T:
    arrived: _T = pickle.loads(pickle.dumps(value))  # noqa: S301 - our own
    return arrived


EVERY_WAY = pytest.mark.parametrize("way", [_pickled, copy.copy, copy.deepcopy])
"""Parametrizes a test with `way`, which takes a value and returns its like."""
