from __future__ import annotations

import pytest

from fanlight.producer.source.base import Source
from fanlight.producer.source.camera import CameraSource
from fanlight.producer.source.images import ImagesSource
from fanlight.producer.source.media import FileSource, UrlSource
from fanlight.producer.source.test_pattern import TestPatternSource

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
