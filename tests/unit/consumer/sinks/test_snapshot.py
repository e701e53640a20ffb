"""`snapshot:FILE`."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fanlight.common.codec.picture import BGR
from fanlight.common.codec.png import PngEncoder
from fanlight.common.model.errors import ConfigError, SinkError
from fanlight.consumer.sinks.snapshot import SnapshotSink
from tests.support.timing import scaled, wait_until
from tests.unit.common.codec.build import psnr
from tests.unit.consumer.sinks.build import Expired, picture, presented

SIZE = (65, 49)
FOR_EVER_S = 3600.0


def read_bgr(path: Path) -> BGR:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))[:, :, ::-1]


def shows(path: Path, seq: int) -> bool:
    return path.exists() and np.array_equal(read_bgr(path), picture(seq, SIZE))


def test_the_first_picture_is_written_at_once_and_the_last_at_close(tmp_path: Path) -> None:
    path = tmp_path / "s.png"
    sink = SnapshotSink(str(path), FOR_EVER_S)
    sink.present(presented(picture(0, SIZE)))
    wait_until(lambda: shows(path, 0), 20)
    for seq in range(1, 5):
        sink.present(presented(picture(seq, SIZE)))
        assert sink.tick()
    assert shows(path, 0), "not before its time"
    sink.close()
    assert shows(path, 4)
    assert [p.name for p in tmp_path.iterdir()] == ["s.png"]


@pytest.mark.parametrize("name", ["s.jpeg", "S.JPG"])
def test_jpeg_looks_like_the_picture(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    sink = SnapshotSink(str(path))
    sink.present(presented(picture(0, (320, 240))))
    sink.close()
    with Image.open(path) as image:
        assert image.format == "JPEG"
    assert psnr(read_bgr(path), picture(0, (320, 240))) > 35


def test_pictures_of_any_size_layout_and_format_are_copied(tmp_path: Path) -> None:
    path = tmp_path / "s.png"
    padded = np.zeros((SIZE[1], SIZE[0] + 7, 3), np.uint8)[:, : SIZE[0]]
    padded[:] = picture(2, SIZE)
    grey = picture(3, SIZE)[:, :, 0].copy()
    for image in (padded, grey):
        expected = image.copy() if image.ndim == 3 else np.repeat(image[:, :, np.newaxis], 3, axis=2)
        sink = SnapshotSink(str(path), FOR_EVER_S)
        sink.present(presented(picture(0, (32, 32))))
        sink.present(presented(image))
        image[:] = 0  # the program may draw on it afterwards
        sink.close()
        assert np.array_equal(read_bgr(path), expected)


def test_a_picture_that_was_overwritten_meanwhile_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "s.png"
    sink = SnapshotSink(str(path), FOR_EVER_S)
    sink.present(presented(picture(0, SIZE), memory=Expired()))
    sink.present(presented(picture(1, SIZE)))
    sink.present(presented(picture(2, SIZE), memory=Expired()))
    sink.close()
    assert shows(path, 1)
    path.unlink()
    sink = SnapshotSink(str(path))
    sink.present(presented(picture(0, SIZE), memory=Expired()))
    sink.close()
    assert not path.exists(), "no picture was whole"


def test_a_slow_encoder_does_not_hold_up_presenting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on, encoded = threading.Event(), threading.Event(), []
    encode = PngEncoder.encode

    def slow(self: PngEncoder, image: BGR, *, key: bool) -> object:
        encoded.append(int(image[0, 0, 2]))
        started.set()
        assert go_on.wait(scaled(20))
        return encode(self, image, key=key)

    monkeypatch.setattr(PngEncoder, "encode", slow)
    sink = SnapshotSink(str(tmp_path / "s.png"), 0)
    sink.present(presented(picture(0, SIZE)))
    assert started.wait(scaled(15))
    for seq in range(1, 20):
        sink.present(presented(picture(seq, SIZE)))
        assert sink.tick()
    go_on.set()
    sink.close()
    assert encoded == [0, 19 * 8], "those in between were replaced by newer ones"
    assert shows(tmp_path / "s.png", 19)


@pytest.mark.parametrize("name", ["s.gif", "nope/s.png", "file/s.png", "dir.png"])
def test_an_unusable_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dir.png").mkdir()
    allowed = "name that ends in .jpg, .jpeg or .png" if name == "s.gif" else "that can be written"
    with pytest.raises(ConfigError, match=f"cannot be used: allowed is a file {allowed}"):
        SnapshotSink(str(tmp_path / name))


def test_a_write_that_fails_is_logged_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    sink = SnapshotSink(str(folder / "s.png"), 0.01)
    folder.rmdir()
    sink.present(presented(picture()))
    wait_until(lambda: len(caplog.messages) == 1, 20)
    assert "s.png cannot be written: No such file or directory; mend that" in caplog.messages[0]
    folder.mkdir()
    sink.present(presented(picture()))
    wait_until(lambda: len(caplog.messages) == 2, 20)
    assert "s.png can be written again" in caplog.messages[1]
    sink.close()


def test_a_write_that_fails_to_the_end_is_raised_by_close(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    sink = SnapshotSink(str(folder / "s.png"))
    folder.rmdir()
    sink.present(presented(picture()))
    with pytest.raises(SinkError, match=r"snapshot:.*s\.png cannot be written any further: No such file"):
        sink.close()
