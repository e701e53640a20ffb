from __future__ import annotations

import dataclasses

import pytest

from producer.source.base import Captured, Source
from producer.source.camera import CameraSource
from producer.source.images import ImagesSource
from producer.source.media import FileSource, UrlSource
from producer.source.test_pattern import TestPatternSource
from tests.unit.producer.source.footage import pattern

ALL: list[Source] = [
    TestPatternSource(),
    CameraSource(0),
    FileSource("clip.mp4"),
    UrlSource("tcp://127.0.0.1:1"),
    ImagesSource("shots"),
]


@pytest.mark.parametrize("source", ALL, ids=str)
def test_close_is_safe_twice_and_without_open(source: Source) -> None:
    source.close()
    source.close()


@pytest.mark.parametrize("source", ALL, ids=str)
def test_after_interrupt_there_are_no_pictures(source: Source) -> None:
    source.interrupt()
    assert source.read() is None


def test_only_what_may_come_back_is_live() -> None:
    assert [type(source) for source in ALL if source.live] == [CameraSource, UrlSource]


def test_captured_cannot_be_changed() -> None:
    captured = Captured(pattern(1), 5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        captured.capture_ns = 6  # type: ignore[misc]
