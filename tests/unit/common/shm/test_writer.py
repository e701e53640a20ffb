from __future__ import annotations

import errno
import mmap
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fanlight.common.model.errors import SharingError
from fanlight.common.model.pixels import PixelFormat
from fanlight.common.shm.folder import locked
from fanlight.common.shm.layout import LIVENESS, NEWEST, SLOT, number_at
from fanlight.common.shm.writer import Segment
from tests.unit.common.shm.build import GRACE_NS, described, new_name, noise, noted, open_files


def word(path: Path, at: int) -> int:
    return int.from_bytes(path.read_bytes()[8 * at : 8 * at + 8], sys.byteorder)


def numbers(path: Path, slots: int) -> list[int]:
    """Of the pictures in the slots, as others read them."""
    return [word(path, number_at(index)) for index in range(slots)]


def failing(number: int) -> object:
    def call(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / new_name()


def test_it_is_this_users_alone_and_as_large_as_it_says(path: Path) -> None:
    header = described()
    segment = Segment(path.name, header, path.parent)
    status = path.stat()
    assert status.st_mode & 0o7777 == 0o600
    assert status.st_uid == os.geteuid()
    assert status.st_size == header.file_bytes
    assert status.st_blocks * 512 >= header.file_bytes, "all of its memory is there"
    assert segment.header == header
    segment.close()


def test_nothing_is_to_be_seen_before_it_is_complete(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = described()
    link = os.link
    seen: list[tuple[list[str], bytes, bool]] = []

    def watched(
        source: str, target: Path, *, src_dir_fd: int | None = None, follow_symlinks: bool = True
    ) -> None:
        nameless = os.open(f"/proc/self/fd/{source}", os.O_RDONLY)
        seen.append(
            (
                os.listdir(path.parent),
                os.pread(nameless, header.file_bytes + 1, 0),
                locked(nameless),
            )
        )
        os.close(nameless)
        link(source, target, src_dir_fd=src_dir_fd, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "link", watched)
    segment = Segment(path.name, header, path.parent)
    whole = header.serialize().ljust(header.file_bytes, b"\0")
    assert seen == [([], whole, True)]
    assert os.listdir(path.parent) == [path.name]
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
def test_pictures_lie_where_the_layout_says(path: Path, pixel_format: PixelFormat) -> None:
    header = described(pixel_format, width=64, height=32)
    segment = Segment(path.name, header, path.parent)
    images = [noise(header, seed) for seed in range(2)]
    view = noise(described(pixel_format, width=128, height=64), 3)[::2, ::2]  # of something larger
    view.flags.writeable = False
    images.append(view)
    for count, image in enumerate(images, 1):
        assert segment.write(image, noted(10 * count), 0)
        assert word(path, NEWEST) == count
    with path.open("rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    for index, image in enumerate(images):
        begin = header.head_bytes + index * header.stride
        assert memory[begin : begin + header.picture_bytes] == image.tobytes()
        expected = noted(10 * index + 10)._replace(number=index + 1)
        assert SLOT.unpack_from(memory, 8 * number_at(index)) == expected
    assert numbers(path, 3) == [1, 2, 3]
    segment.close()


def test_a_picture_of_another_size_is_an_error_and_changes_nothing(path: Path) -> None:
    header = described(slots=1)
    segment = Segment(path.name, header, path.parent)
    assert segment.write(noise(header), noted(), 0)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="allowed is"):
        segment.write(noise(described(width=18)), noted(), GRACE_NS)
    with pytest.raises(ValueError, match="allowed is"):
        segment.write(noise(described(width=1)), noted(), GRACE_NS)  # would fill every column
    assert path.read_bytes() == before
    assert segment.write(noise(header), noted(), GRACE_NS)
    segment.close()


def test_closing_deletes_it_and_may_be_repeated(path: Path) -> None:
    before = open_files()
    segment = Segment(path.name, described(), path.parent)
    segment.keep_alive(7)
    with path.open("rb") as file:
        segment.close()
        assert file.read(8 * LIVENESS + 8)[8 * LIVENESS :] == bytes(8), "it is not at work any more"
        assert not locked(file.fileno())
    assert os.listdir(path.parent) == []
    path.touch()
    segment.close()
    assert path.exists(), "that is somebody else's"
    assert open_files() == before
    path.unlink()
    segment = Segment(path.name, described(), path.parent)
    path.unlink()
    segment.close()
    assert open_files() == before, "one that was deleted by others"


# Failures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ENOMEM])
def test_too_little_memory_is_an_error_that_says_what_can_be_done(
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


def test_a_folder_that_may_not_be_written_to_is_an_error(
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
