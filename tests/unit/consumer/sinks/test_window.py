"""The part of `window` that needs none; the rest is tested under Xvfb."""

from __future__ import annotations

import pytest

from fanlight.consumer.sinks.window import fitted


@pytest.mark.parametrize(
    ("picture", "window"),
    [
        ((640, 480), (640, 480)),
        ((1280, 720), (1280, 720)),
        ((3840, 2160), (1280, 720)),
        ((1080, 1920), (405, 720)),
        ((16384, 1), (1280, 1)),
    ],
)
def test_a_window_opens_with_the_size_of_the_picture_or_smaller(
    picture: tuple[int, int], window: tuple[int, int]
) -> None:
    assert fitted(*picture) == window
