from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fanlight
from fanlight.common.model.errors import ConfigError, StreamEnded, WrongProcess
from fanlight.common.model.frame import Codec
from fanlight.common.model.result import Result
from fanlight.consumer.frame import Frame, UndecodedFrame
from fanlight.consumer.results import Results
from tests.support.headers import header

HEADER = header(7, Codec.JPEG, (640, 480), stream="cam", epoch=5)
NOWHERE = "amqp://127.0.0.1:1/"


class Kept(Results):
    """Keeps what would be published; there is no broker."""

    def __init__(self, **options: Any) -> None:
        super().__init__("cam", "faces", url=NOWHERE, **options)
        self.bodies: list[bytes] = []
        self._publisher.publish = self.bodies.append  # type: ignore[method-assign, assignment]

    @property
    def last(self) -> Result:
        return Result.from_json(self.bodies[-1])


@pytest.fixture
def out() -> Iterator[Kept]:
    with Kept() as kept:
        yield kept


def frame(*shape: int) -> Frame:
    return Frame(np.zeros(shape, np.uint8), HEADER, 0, 0, 0.0, 0)


def test_arrays_lists_and_tuples_are_taken(out: Kept) -> None:
    out.send(
        HEADER,
        boxes=np.array([[1, 2, 3, 4.12345]], np.float32),
        labels=np.array(["face"]),
        scores=[np.float32(0.875)],
        points=[(1, 2)],
        polygons=[np.array([[0, 0], [1, 0], [0, 1]]), [(5, 6)]],
        texts=[(float(np.float32(1)), 2.0, "exit")],
        data={"speed": 1.5, "path": (1, 2)},
    )
    assert out.last == Result(
        stream="cam", name="faces", epoch=5, seq=7, capture_ns=HEADER.capture_ns, width=640, height=480,
        boxes=((1, 2, 3, 4.12),), labels=("face",), scores=(0.875,), points=((1, 2),),
        polygons=(((0, 0), (1, 0), (0, 1)), ((5, 6),)), texts=((1, 2, "exit"),),
        data={"speed": 1.5, "path": [1, 2]},
    )  # fmt: skip


def test_nothing_found_is_sent_too(out: Kept) -> None:
    out.send(HEADER)
    out.send(HEADER, boxes=[], points=np.empty((0, 2)), polygons=[], data={}, labels=[])
    assert out.bodies[0] == out.bodies[1]
    assert not out.last.boxes


def test_numbers_are_labels_too(out: Kept) -> None:
    out.send(HEADER, boxes=[[0, 0, 1, 1]], labels=[3])
    assert out.last.labels == ("3",)


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ((480, 640, 3), (10, 20, 30, 40)),
        ((240, 160, 3), (40, 40, 120, 80)),
        ((240, 160), (40, 40, 120, 80)),
        ((480, 640), (10, 20, 30, 40)),
        ((720, 640), (10, 20, 30, 40)),  # I420
    ],
)
def test_pixels_of_a_scaled_picture_become_those_of_the_streams(
    out: Kept, shape: tuple[int, ...], box: tuple[float, ...]
) -> None:
    out.send(frame(*shape), boxes=[(10, 20, 30, 40)])
    assert (out.last.boxes, out.last.width, out.last.height) == ((box,), 640, 480)


def test_a_frame_that_was_not_decoded_has_the_streams_size(out: Kept) -> None:
    undecoded = UndecodedFrame(*frame(0, 0, 3)._replace(encoded_body=b"x"))
    out.send(undecoded, boxes=[(10, 20, 30, 40)])
    assert out.last.boxes == ((10, 20, 30, 40),)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ({"boxes": [1, 2, 3, 4]}, "boxes .* allowed is an array of shape \\(n, 4\\)"),
        ({"boxes": [[1, 2, 3]]}, "boxes .* shape \\(n, 4\\)"),
        ({"boxes": [["a", 2, 3, 4]]}, "boxes .* allowed are numbers"),
        ({"boxes": [[1, 2, 3, float("nan")]]}, "boxes .* numbers from"),
        ({"boxes": np.zeros((1001, 4))}, "boxes .* a list of up to 1000"),
        ({"boxes": [[1, 2, 3, 4]] * 4, "labels": "face"}, "labels 'face' .* allowed is a list"),
        ({"labels": ["a"]}, "labels 1 .* as many as boxes, 0"),
        ({"points": [[1, 2, 3]]}, "points .* shape \\(n, 2\\)"),
        ({"polygons": [[1, 2]]}, "polygons .* shape \\(n, 2\\)"),
        ({"texts": [(1, 2)]}, "texts .* \\(x, y, text\\)"),
        ({"data": {"a": {1: 2}}}, "a key of data\\['a'\\] 1"),
        ({"data": {"a": np.zeros(2)}}, "data\\['a'\\]"),
        ({"data": [1]}, "data .* allowed is an object"),
        ({"data": {"a": "x" * 70_000}}, "body size .* up to 65536 bytes"),
    ],
)
def test_what_cannot_be_sent_is_one_clear_line(out: Kept, content: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error) as caught:
        out.send(HEADER, **content)
    assert "\n" not in str(caught.value)
    assert not out.bodies


def test_contours_of_opencv_are_taken(out: Kept) -> None:
    contour = np.array([[[1, 2]], [[3, 4]], [[5, 6]]], np.int32)
    out.send(HEADER, polygons=(contour, contour), points=contour)
    corners = ((1, 2), (3, 4), (5, 6))
    assert [*out.last.polygons, out.last.points] == [corners] * 3


def test_a_picture_in_place_of_its_frame_is_refused(out: Kept) -> None:
    picture: Any = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(ConfigError, match=r"frame .* allowed is the Frame that was examined"):
        out.send(picture)


def test_results_are_of_their_own_stream(out: Kept) -> None:
    with pytest.raises(ConfigError, match="frame 'door' cannot be used: allowed are frames of stream cam"):
        out.send(HEADER._replace(stream="door"))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"name": "two words"}, "name 'two words' .* letters"),
        ({"stream": "control"}, "--stream 'control'"),
        ({"url": "tcp+threads://127.0.0.1:7000"}, "results need a broker: allowed is amqp"),
        ({"url": "http://x"}, "--url|url"),
    ],
)
def test_unusable_settings_are_named(options: dict[str, str], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        Results(**{"url": NOWHERE, **options})


def test_after_the_end_nothing_is_sent() -> None:
    out = Kept()
    out.close()
    out.close()
    with pytest.raises(StreamEnded, match="these results were closed"):
        out.send(HEADER)
    with pytest.raises(StreamEnded):
        out.start()


def test_without_a_connection_results_are_dropped_and_counted() -> None:
    with fanlight.Results("cam", "faces", url=NOWHERE) as out:
        for _ in range(200):
            out.send(HEADER)
    stats = out.stats()
    assert (stats.sent, stats.unheard, stats.unsent) == (0, 0, 200)


def test_a_copy_in_another_process_is_refused() -> None:
    with Kept() as out:
        with pytest.raises(WrongProcess):
            pickle.dumps(out)
        child = os.fork()
        if child == 0:
            out.close()  # does nothing
            try:
                out.send(HEADER)
            except WrongProcess:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        out.send(HEADER)
        assert len(out.bodies) == 1
