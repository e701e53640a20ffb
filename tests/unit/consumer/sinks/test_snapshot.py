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
from fanlight.consumer.sinks import snapshot
from fanlight.consumer.sinks.snapshot import SnapshotSink
from tests.support.timing import scaled, wait_until
from tests.unit.consumer.sinks.build import Expired, picture, presented

SIZE = (65, 49)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The monotonic clock's one value, to be set by the test."""
    now_ns = [9_000_000_000]
    monkeypatch.setattr(snapshot, "monotonic_ns", lambda: now_ns[0])
    return now_ns


def read_bgr(path: Path) -> BGR:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))[:, :, ::-1]


def shows(path: Path, seq: int) -> bool:
    return path.exists() and np.array_equal(read_bgr(path), picture(seq, SIZE))


def test_within_a_second_nothing_is_written_then_the_newest(tmp_path: Path, clock: list[int]) -> None:
    path = tmp_path / "s.png"
    sink = SnapshotSink(str(path))
    sink.present(presented(picture(0, SIZE)))
    wait_until(lambda: shows(path, 0), 5)
    written = path.stat().st_mtime_ns
    for seq in (1, 2, 3):
        clock[0] += 300_000_000
        sink.present(presented(picture(seq, SIZE)))
        sink.tick()
    assert path.stat().st_mtime_ns == written
    clock[0] += 100_000_000
    sink.tick()
    wait_until(lambda: shows(path, 3), 5, "the newest picture, once its second has come")
    sink.close()


def test_the_last_picture_is_written_at_close(tmp_path: Path, clock: list[int]) -> None:
    path = tmp_path / "s.png"
    sink = SnapshotSink(str(path))
    for seq in range(5):
        sink.present(presented(picture(seq, SIZE)))
    sink.close()
    assert shows(path, 4)
    assert [p.name for p in tmp_path.iterdir()] == ["s.png"]


@pytest.mark.parametrize("name", ["s.jpg", "s.jpeg", "S.JPG"])
def test_jpeg_looks_like_the_picture(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    sink = SnapshotSink(str(path))
    sink.present(presented(picture(0, (320, 240))))
    sink.close()
    with Image.open(path) as image:
        assert image.format == "JPEG"
    error = np.mean((read_bgr(path).astype(float) - picture(0, (320, 240))) ** 2)
    assert 10 * np.log10(255**2 / error) > 35


def test_the_program_may_draw_on_the_picture_afterwards(tmp_path: Path, clock: list[int]) -> None:
    path = tmp_path / "s.png"
    sink = SnapshotSink(str(path))
    image = picture(1, SIZE)
    sink.present(presented(image))
    image[:] = 0
    sink.close()
    assert shows(path, 1)


def test_a_picture_of_another_size_and_with_padded_rows_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "s.png"
    sink = SnapshotSink(str(path))
    sink.present(presented(picture(0, (32, 32))))
    padded = np.zeros((SIZE[1], SIZE[0] + 7, 3), np.uint8)[:, : SIZE[0]]
    padded[:] = picture(2, SIZE)
    sink.present(presented(padded))
    sink.close()
    assert shows(path, 2)


def test_a_grey_picture_is_taken(tmp_path: Path, clock: list[int]) -> None:
    path = tmp_path / "s.png"
    grey = picture(3, SIZE)[:, :, 0]
    sink = SnapshotSink(str(path))
    sink.present(presented(grey))
    sink.close()
    assert np.array_equal(read_bgr(path), np.repeat(grey[:, :, np.newaxis], 3, axis=2))


def test_a_picture_that_was_overwritten_meanwhile_is_left_out(tmp_path: Path, clock: list[int]) -> None:
    path = tmp_path / "s.png"
    sink = SnapshotSink(str(path))
    sink.present(presented(picture(0, SIZE), held=Expired()))
    sink.tick()
    sink.present(presented(picture(1, SIZE)))
    wait_until(lambda: shows(path, 1), 5, "the first picture that is whole")
    clock[0] += 2_000_000_000
    sink.present(presented(picture(2, SIZE), held=Expired()))
    sink.tick()
    sink.close()
    assert shows(path, 1)


def test_if_all_were_overwritten_there_is_no_file(tmp_path: Path) -> None:
    sink = SnapshotSink(str(tmp_path / "s.png"))
    sink.present(presented(picture(0, SIZE), held=Expired()))
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_a_slow_encoder_does_not_hold_up_presenting(
    tmp_path: Path, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on, encoded = threading.Event(), threading.Event(), []
    encode = PngEncoder.encode

    def slow(self: PngEncoder, image: BGR, *, key: bool) -> object:
        encoded.append(int(image[0, 0, 2]))
        started.set()
        assert go_on.wait(scaled(10))
        return encode(self, image, key=key)

    monkeypatch.setattr(PngEncoder, "encode", slow)
    sink = SnapshotSink(str(tmp_path / "s.png"))
    sink.present(presented(picture(0, SIZE)))
    assert started.wait(scaled(5))
    for seq in range(1, 20):
        clock[0] += 1_000_000_000
        sink.present(presented(picture(seq, SIZE)))
        assert sink.tick()
    go_on.set()
    sink.close()
    assert encoded == [0, 19 * 8], "those in between were replaced by newer ones"
    assert shows(tmp_path / "s.png", 19)


@pytest.mark.parametrize("name", ["s.gif", "s", "s.png.bak"])
def test_another_extension_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"a file name that ends in \.jpg, \.jpeg or \.png$"):
        SnapshotSink(str(tmp_path / name))


def test_a_folder_that_is_missing_or_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dir.png").mkdir()
    for name in ("nope/s.png", "file/s.png", "dir.png"):
        with pytest.raises(ConfigError, match="cannot be used: allowed is a file that can be written"):
            SnapshotSink(str(tmp_path / name))


def test_a_write_that_fails_is_told_and_tried_again(
    tmp_path: Path, clock: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    sink = SnapshotSink(str(folder / "s.png"))
    folder.rmdir()
    sink.present(presented(picture()))
    wait_until(lambda: len(caplog.messages) == 1, 5)
    assert "s.png cannot be written: No such file or directory; mend that" in caplog.messages[0]
    folder.mkdir()
    clock[0] += 1_000_000_000
    sink.present(presented(picture()))
    assert sink.tick()
    wait_until(lambda: len(caplog.messages) == 2, 5)
    assert "s.png can be written again" in caplog.messages[1]
    sink.close()


def test_a_write_that_fails_to_the_end_is_told_by_close(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    sink = SnapshotSink(str(folder / "s.png"))
    folder.rmdir()
    sink.present(presented(picture()))
    with pytest.raises(SinkError, match=r"snapshot:.*s\.png cannot be written any further: No such file"):
        sink.close()
