from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from common.errors import SharingError
from common.pixels import PixelFormat, Pixels
from common.sharing.hosts import held
from common.sharing.layout import BEAT_AT, GENERATIONS_AT, PAGE, SegmentHeader
from common.sharing.writer import Segment
from tests.unit.common.sharing.build import GRACE_NS, described, new_name, noise, open_files


def word(path: Path, offset: int) -> int:
    return int.from_bytes(path.read_bytes()[offset : offset + 8], "little")


def generation(path: Path, slot: int) -> int:
    return word(path, GENERATIONS_AT + 8 * slot)


def failing(number: int) -> object:
    def call(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


def test_it_is_this_users_alone_and_as_large_as_it_says(tmp_path: Path) -> None:
    header = described()
    segment = Segment(new_name(), header, tmp_path)
    status = (tmp_path / segment.name).stat()
    assert status.st_mode & 0o7777 == 0o600
    assert status.st_uid == os.geteuid()
    assert status.st_size == header.file_bytes
    assert status.st_blocks * 512 >= header.file_bytes, "all of its memory is there"
    assert segment.header == header
    segment.close()


def test_it_begins_with_its_header_and_without_pictures(tmp_path: Path) -> None:
    header = described()
    segment = Segment(new_name(), header, tmp_path)
    content = (tmp_path / segment.name).read_bytes()
    assert SegmentHeader.parse(content[:PAGE], len(content)) == header
    assert not any(content[len(header.serialize()) :])
    segment.close()


def test_nothing_is_to_be_seen_before_it_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = described()
    link = os.link
    seen: list[tuple[list[str], bytes, bool]] = []

    def watched(
        source: str, target: Path, *, src_dir_fd: int | None = None, follow_symlinks: bool = True
    ) -> None:
        nameless = os.open(f"/proc/self/fd/{source}", os.O_RDONLY)
        seen.append((os.listdir(tmp_path), os.pread(nameless, header.file_bytes + 1, 0), held(nameless)))
        os.close(nameless)
        link(source, target, src_dir_fd=src_dir_fd, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "link", watched)
    segment = Segment(new_name(), header, tmp_path)
    whole = header.serialize().ljust(header.file_bytes, b"\0")
    assert seen == [([], whole, True)]
    assert os.listdir(tmp_path) == [segment.name]
    segment.close()


@pytest.mark.parametrize("step", ["posix_fallocate", "pwrite", "link"])
def test_nothing_is_left_of_one_that_could_not_be_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = open_files()
    with monkeypatch.context() as patch:
        patch.setattr(os, step, failing(errno.EIO))
        with pytest.raises(SharingError):
            Segment(new_name(), described(), tmp_path)
    assert os.listdir(tmp_path) == []
    assert open_files() == before


@pytest.mark.parametrize("pixel_format", PixelFormat)
def test_pictures_lie_where_the_layout_says(tmp_path: Path, pixel_format: PixelFormat) -> None:
    header = described(pixel_format, width=64, height=32)
    segment = Segment(new_name(), header, tmp_path)
    images = [noise(header, seed) for seed in range(3)]
    assert [segment.write(image, 0) for image in images] == [(0, 1), (1, 2), (2, 3)]
    content = (tmp_path / segment.name).read_bytes()
    for slot, image in enumerate(images):
        begin = PAGE + slot * header.stride
        assert content[begin : begin + header.picture_bytes] == image.tobytes()
        assert generation(tmp_path / segment.name, slot) == slot + 1
    segment.close()


def test_a_picture_may_be_a_view_of_something_larger(tmp_path: Path) -> None:
    header = described()
    segment = Segment(new_name(), header, tmp_path)
    image = noise(described(width=32, height=16))[::2, ::2]
    image.flags.writeable = False
    assert segment.write(image, 0) == (0, 1)
    content = (tmp_path / segment.name).read_bytes()
    assert content[PAGE : PAGE + header.picture_bytes] == image.tobytes()
    segment.close()


def test_the_generation_is_zero_while_a_picture_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = described(slots=1)
    segment = Segment(new_name(), header, tmp_path)
    path = tmp_path / segment.name
    copy = np.copyto
    seen: list[int] = []

    def watched(into: Pixels, image: Pixels) -> None:
        seen.append(generation(path, 0))
        copy(into, image)
        seen.append(generation(path, 0))

    monkeypatch.setattr(np, "copyto", watched)
    for turn in range(3):
        assert segment.write(noise(header, turn), turn * GRACE_NS) == (0, turn + 1)
        assert generation(path, 0) == turn + 1
    assert seen == [0] * 6
    segment.close()


def test_a_picture_is_not_written_while_all_are_in_their_grace_time(tmp_path: Path) -> None:
    header = described(slots=2)
    segment = Segment(new_name(), header, tmp_path)
    assert [segment.write(noise(header, n), n) for n in range(2)] == [(0, 1), (1, 2)]
    before = (tmp_path / segment.name).read_bytes()
    assert segment.write(noise(header, 2), 2) is None
    assert segment.write(noise(header, 2), GRACE_NS - 1) is None
    assert (tmp_path / segment.name).read_bytes() == before
    assert segment.write(noise(header, 2), GRACE_NS) == (0, 3)
    assert segment.write(noise(header, 3), GRACE_NS) is None
    assert segment.write(noise(header, 3), GRACE_NS + 1) == (1, 4)
    segment.close()


def test_a_picture_of_another_size_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    header = described(slots=1)
    segment = Segment(new_name(), header, tmp_path)
    assert segment.write(noise(header), 0) == (0, 1)
    with pytest.raises(ValueError, match="allowed is"):
        segment.write(noise(described(width=18)), GRACE_NS)
    with pytest.raises(ValueError, match="allowed is"):
        segment.write(noise(described(width=1)), GRACE_NS)  # would fill every column
    assert generation(tmp_path / segment.name, 0) == 1
    assert segment.write(noise(header), GRACE_NS) == (0, 2)
    segment.close()


def test_it_says_when_it_was_at_work(tmp_path: Path) -> None:
    segment = Segment(new_name(), described(), tmp_path)
    segment.beat(123_456_789)
    assert word(tmp_path / segment.name, BEAT_AT) == 123_456_789
    segment.close()


def test_closing_deletes_it_and_may_be_repeated(tmp_path: Path) -> None:
    before = open_files()
    segment = Segment(new_name(), described(), tmp_path)
    path = tmp_path / segment.name
    segment.beat(7)
    with path.open("rb") as file:
        segment.close()
        assert file.read(BEAT_AT + 8)[BEAT_AT:] == bytes(8), "it is not at work any more"
        assert not held(file.fileno())
    assert os.listdir(tmp_path) == []
    path.touch()
    segment.close()
    assert path.exists(), "that is somebody else's"
    assert open_files() == before


def test_one_that_was_deleted_by_others_can_be_closed(tmp_path: Path) -> None:
    segment = Segment(new_name(), described(), tmp_path)
    (tmp_path / segment.name).unlink()
    segment.close()


def test_no_files_stay_open(tmp_path: Path) -> None:
    before = open_files()
    mapped = Path("/proc/self/maps").read_text().count(str(tmp_path))
    for _ in range(200):
        segment = Segment(new_name(), described(), tmp_path)
        segment.write(noise(segment.header), 0)
        segment.close()
    assert open_files() == before
    assert Path("/proc/self/maps").read_text().count(str(tmp_path)) == mapped == 0
    assert os.listdir(tmp_path) == []


# Failures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ENOMEM])
def test_memory_that_is_not_there_is_told_with_what_can_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", failing(number))
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=64 * 256, f_frsize=4096))
    with pytest.raises(SharingError) as caught:
        Segment(new_name(), described(width=1920, height=1080, slots=18), tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} has 64 MiB left, 18 pictures of 1920x1080 bgr take 107: enlarge it (docker run "
        "--shm-size), or share less (--share-size, --share-format, a shorter --max-age)"
    )


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "missing"
    with pytest.raises(SharingError) as caught:
        Segment(new_name(), described(), folder)
    told = f"3 pictures of 16x8 bgr cannot be shared in {folder}: No such file or directory"
    assert str(caught.value) == told


def test_a_folder_that_may_not_be_written_to_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", failing(errno.EACCES))
        with pytest.raises(SharingError) as caught:
            Segment(new_name(), described(PixelFormat.GREY), tmp_path)
    assert str(caught.value) == f"3 pictures of 16x8 grey cannot be shared in {tmp_path}: Permission denied"


def test_a_name_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    name, link = new_name(), new_name()
    (tmp_path / name).write_bytes(b"precious")
    (tmp_path / link).symlink_to(tmp_path / "victim")
    for taken in (name, link):
        with pytest.raises(SharingError, match=r"cannot be shared in .*: File exists$"):
            Segment(taken, described(), tmp_path)
        assert (tmp_path / taken).read_bytes() == b"precious"


def test_the_writer_never_runs_out_of_memory_later(tmp_path: Path) -> None:
    """What is mapped was allocated: writing to it allocates nothing any more."""
    segment = Segment(new_name(), described(width=640, height=480), tmp_path)
    path = tmp_path / segment.name
    before = path.stat().st_blocks
    for _ in range(3):
        segment.write(noise(segment.header), 0)
    assert path.stat().st_blocks == before
    segment.close()
