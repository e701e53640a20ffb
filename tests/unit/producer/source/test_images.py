from __future__ import annotations

import io
import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from fanlight.common.codec.picture import Converter, size_of
from fanlight.common.model.errors import SourceError
from fanlight.common.model.frame import Codec
from fanlight.producer.source.images import ImagesSource, decode_image, list_images, to_picture
from fanlight.producer.stats import Drop
from tests.unit.common.codec.build import encode, noise
from tests.unit.producer.source.footage import SteppedClock, number_of, pattern


def images(path: Path, clock: SteppedClock | None = None, **options: Any) -> ImagesSource:
    source = ImagesSource(str(path), clock=clock or SteppedClock(), **options)
    source.open()
    return source


def save(path: Path, number: int, size: tuple[int, int] = (160, 120), mode: str = "RGB") -> Path:
    Image.fromarray(pattern(number, size)[:, :, ::-1]).convert(mode).save(path)
    return path


def numbers(path: Path, clock: SteppedClock | None = None, **options: Any) -> list[int | None]:
    source = images(path, clock, **options)
    found = [number_of(captured) for captured in iter(source.read, None)]
    source.close()
    return found


class TestOrder:
    def test_2_comes_before_10(self, tmp_path: Path) -> None:
        for number in (10, 2, 1, 33):
            save(tmp_path / f"shot{number}.png", number)
        assert numbers(tmp_path) == [1, 2, 10, 33]

    def test_a_pattern_chooses(self, tmp_path: Path) -> None:
        save(tmp_path / "a1.png", 1)
        save(tmp_path / "b2.png", 2)
        save(tmp_path / "a3.jpg", 3)
        assert numbers(tmp_path / "a*") == [1, 3]
        assert numbers(tmp_path / "*.png") == [1, 2]

    def test_a_folder_gives_its_images_and_nothing_else(self, tmp_path: Path) -> None:
        save(tmp_path / "1.PNG", 1)
        save(tmp_path / ".hidden.png", 2)
        (tmp_path / "notes.txt").write_text("x")
        (tmp_path / "folder.png").mkdir()
        assert numbers(tmp_path) == [1]


@pytest.mark.parametrize(("fps", "interval_ms"), [(None, 33.333_333), (10, 100)])
def test_a_loop_has_no_gap_at_30_a_second_or_as_asked(
    tmp_path: Path, fps: float | None, interval_ms: float
) -> None:
    sizes = [(641, 481), (64, 48), (160, 120)]
    for number, size in enumerate(sizes):
        save(tmp_path / f"{number}.png", number, size)
    clock = SteppedClock()
    source = images(tmp_path, clock, loop=True, fps=fps)
    captured = [source.read() for _ in range(7)]
    assert [number_of(each) for each in captured] == [0, 1, 2, 0, 1, 2, 0]
    assert [size_of(each.picture) for each in captured[:3] if each] == sizes
    assert clock.deadlines_ms == pytest.approx([n * interval_ms for n in range(7)], abs=0.001)


class TestUnreadable:
    def test_is_skipped_counted_and_logged_once(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        for number in range(5):
            save(tmp_path / f"{number}.png", number)
        (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:300])
        (tmp_path / "2.png").write_text("no image")
        source = images(tmp_path, loop=True)
        assert number_of(source.read()) == 0
        (tmp_path / "3.png").unlink()
        with caplog.at_level(logging.WARNING):
            assert [number_of(source.read()) for _ in range(4)] == [4, 0, 4, 0]
        assert source.drops == {Drop.UNREADABLE: 5}
        assert [record.message for record in caplog.records] == [
            f"{tmp_path}/1.png: skipped, it cannot be read: Invalid data found when processing input",
            f"{tmp_path}/2.png: skipped, it cannot be read: this is no known image format",
            f"{tmp_path}/3.png: skipped, it cannot be read: No such file or directory",
        ]

    @pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tiff", "webp", "ppm"])
    def test_a_truncated_image_is_skipped(self, tmp_path: Path, suffix: str) -> None:
        save(tmp_path / f"0.{suffix}", 0)
        data = save(tmp_path / f"1.{suffix}", 1).read_bytes()
        (tmp_path / f"1.{suffix}").write_bytes(data[: len(data) // 2])
        assert numbers(tmp_path) == [0]

    @pytest.mark.parametrize("loop", [False, True])
    def test_nothing_else_is_a_failure(self, tmp_path: Path, loop: bool) -> None:
        for number in range(2):
            (tmp_path / f"{number}.png").write_text("no image")
        source = images(tmp_path, loop=loop)
        with pytest.raises(SourceError, match="none of the 2 images here can be read"):
            source.read()


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *[("PNG", mode) for mode in ("RGB", "L", "P", "RGBA", "LA", "1", "I;16")],
        *[("TIFF", mode) for mode in ("RGB", "L", "P", "RGBA", "I;16")],
        *[("BMP", mode) for mode in ("RGB", "L", "P", "1")],
        *[("PPM", mode) for mode in ("RGB", "L", "1", "I;16")],
        ("WEBP", "RGBA"),
    ],
)
@pytest.mark.parametrize("size", [(641, 481), (3, 2)])
def test_lossless_images_are_exact_to_the_bit(kind: str, mode: str, size: tuple[int, int]) -> None:
    original = Image.fromarray(pattern(9, size)[:, :, ::-1])
    if mode == "I;16":
        image = Image.fromarray(np.asarray(original.convert("L")).astype(np.uint16) * 257)
        expected = np.asarray(original.convert("L").convert("RGB"))
    else:
        image = original.quantize(64) if mode == "P" else original.convert(mode)
        expected = np.asarray(image.convert("RGB"))
    file = io.BytesIO()
    image.save(file, format=kind, **({"lossless": True} if kind == "WEBP" else {}))
    decoded = to_picture(decode_image(file.getvalue()), Converter())
    difference = np.abs(decoded.astype(int) - expected[:, :, ::-1])
    # 16 bits are rounded down to 8 by FFmpeg, with a dither of one step.
    assert difference.max() <= (1 if mode == "I;16" else 0)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_images_have_the_right_colours(kind: str, mode: str) -> None:
    if (kind, mode) == ("WEBP", "CMYK"):
        return
    smooth = np.zeros((481, 641, 3), np.uint8)
    smooth[:, :, 0] = np.linspace(0, 255, 641).astype(np.uint8)
    smooth[:, :, 1] = np.linspace(255, 0, 481).astype(np.uint8)[:, np.newaxis]
    smooth[:, :, 2] = 90
    image = Image.fromarray(smooth).convert(mode)
    file = io.BytesIO()
    image.save(file, format=kind, quality=95)
    expected = np.asarray(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))[:, :, ::-1]
    decoded = to_picture(decode_image(file.getvalue()), Converter())
    assert np.abs(decoded.astype(int) - expected).mean() < 1.5


def test_a_name_is_a_name_before_it_is_a_pattern(tmp_path: Path) -> None:
    save(tmp_path / "a[1].png", 1)
    save(tmp_path / "a1.png", 2)
    assert [path.name for path in list_images(str(tmp_path / "a[1].png"))] == ["a[1].png"]


def test_a_picture_beyond_the_limit_is_skipped_with_its_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "1.png").write_bytes(encode(Codec.PNG, noise(640, 480)).body)
    (tmp_path / "2.png").write_bytes(encode(Codec.PNG, noise(32, 24)).body)
    source = images(tmp_path, max_pixels=200_000)
    captured = source.read()
    assert captured is not None
    assert captured.picture.shape == (24, 32, 3)  # type: ignore[union-attr]
    assert source.drops == {Drop.UNREADABLE: 1}
    assert "it has more than 200000 pixels: --max-pixels allows more" in caplog.text


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    photo = Image.fromarray(np.kron(pattern(1, (8, 6)), np.ones((8, 8, 1), np.uint8))[:, :, ::-1])
    exif = Image.Exif()
    exif[0x112] = orientation
    path = tmp_path / f"photo.{kind.lower()}"
    photo.save(path, exif=exif, quality=95)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))[:, :, ::-1]
    captured = images(path).read()
    assert captured is not None
    assert captured.picture.shape == expected.shape  # type: ignore[union-attr]
    assert np.abs(np.asarray(captured.picture, int) - expected).mean() < 5


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp", "tiff"])
def test_what_follows_an_image_in_its_file_is_not_read(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"photo.{suffix}", 7)
    path.write_bytes(path.read_bytes() + noise(200, 100).tobytes() + b"\xff\xda" * 100)
    assert numbers(path) == [7]


def test_the_name_of_an_animated_webp_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = (Image.fromarray(pattern(number)) for number in (1, 2))
    first.save(tmp_path / "a.webp", save_all=True, append_images=[second])
    with pytest.raises(SourceError):
        numbers(tmp_path)
    assert "a.webp: skipped, it cannot be read: it is an animated WebP" in caplog.text


def test_a_tiff_that_would_be_shown_as_black_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Image.fromarray(pattern(1)).save(tmp_path / "a.tif", compression="jpeg")
    with pytest.raises(SourceError):
        numbers(tmp_path)
    assert "a.tif: skipped, it cannot be read: it is a TIFF of tiles or JPEG data" in caplog.text


class TestChanging:
    def test_a_file_that_is_being_written_is_tried_again(self, tmp_path: Path) -> None:
        path = save(tmp_path / "latest.png", 1)
        source = ImagesSource(str(path), loop=True, fps=1000)
        source.open()
        assert number_of(source.read()) == 1
        data = save(tmp_path / "next.png", 2).read_bytes()
        path.write_bytes(data[:300])
        completed = threading.Timer(0.2, path.write_bytes, [data])
        completed.start()
        assert number_of(source.read()) == 2
        assert source.drops == {}
        completed.join()

    def test_a_loop_waits_for_a_file_that_is_gone(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = save(tmp_path / "latest.png", 1)
        source = images(path, loop=True)
        assert number_of(source.read()) == 1
        path.unlink()
        back = threading.Timer(0.3, save(tmp_path / "next.png", 2).rename, [path])
        back.start()
        assert number_of(source.read()) == 2
        assert caplog.messages == [f"images {path}: there is no image that can be read; waiting for one"]
        back.join()

    def test_it_can_be_interrupted_while_it_waits(self, tmp_path: Path) -> None:
        path = save(tmp_path / "latest.png", 1)
        source = images(path, loop=True)
        source.read()
        path.unlink()
        threading.Timer(0.2, source.interrupt).start()
        assert source.read() is None

    def test_a_loop_shows_images_that_were_added(self, tmp_path: Path) -> None:
        save(tmp_path / "1.png", 1)
        source = images(tmp_path, loop=True)
        assert number_of(source.read()) == 1
        save(tmp_path / "2.png", 2)
        assert [number_of(source.read()) for _ in range(4)] == [1, 2, 1, 2]


@pytest.mark.parametrize(
    ("folder", "spec"),
    [("a[b]", ""), ("DIR[1]", "*.png"), ("DIR[1]", "x[[]*.png"), ("[a][b]", "**/x*.png")],
)
def test_brackets_in_the_name_of_a_folder_are_no_pattern(tmp_path: Path, folder: str, spec: str) -> None:
    for name in (folder, "ab", "DIR1", "b"):
        (tmp_path / name).mkdir()
        save(tmp_path / name / "x[1].png", 5)
    found = list_images(str(tmp_path / folder / spec))
    assert found == [tmp_path / folder / "x[1].png"]


def test_brackets_after_a_wildcard_are_a_pattern_before_they_are_a_name(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    save(folder / "x[1].png", 1)
    assert list_images(str(tmp_path / "*" / "x[1].png")) == [folder / "x[1].png"]
    save(folder / "x1.png", 2)
    assert list_images(str(tmp_path / "*" / "x[1].png")) == [folder / "x1.png"]


def test_scans_of_the_image_itself_are_limited(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = save(tmp_path / "bomb.jpg", 1).read_bytes()
    (tmp_path / "bomb.jpg").write_bytes(data[:-2] + b"\xff\xda\0\2" * 100 + data[-2:])
    with pytest.raises(SourceError):
        numbers(tmp_path)
    assert "scans: allowed is up to 64" in caplog.text
