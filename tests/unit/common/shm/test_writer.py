from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from fanlight.common.model.errors import SharingError
from fanlight.common.model.pixels import PixelFormat
from fanlight.common.shm.layout import LIVENESS, NEWEST, SLOT, number_at
from fanlight.common.shm.locks import locked
from fanlight.common.shm.writer import Segment
from tests.unit.common.shm.build import (
    GRACE_NS,
    described,
    memories,
    memory_of,
    new_name,
    noise,
    noted,
    open_files,
)


def word(path: Path, at: int) -> int:
    return memory_of(path).cast("Q")[at]


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
    memory = memory_of(path)
    assert memory.readonly
    assert memory == header.serialize().ljust(header.memory_bytes, b"\0")
    assert segment.header == header
    segment.close()


def test_nothing_is_to_be_seen_before_it_is_complete(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = described()
    link = os.link
    seen: list[tuple[list[str], bool, bool]] = []

    def watched(nameless: str, name: str, *, dst_dir_fd: int, follow_symlinks: bool) -> None:
        file = os.open(nameless, os.O_RDONLY)
        complete = memory_of(Path(nameless)) == header.serialize().ljust(header.memory_bytes, b"\0")
        seen.append((os.listdir(path.parent), complete, locked(file)))
        os.close(file)
        link(nameless, name, dst_dir_fd=dst_dir_fd, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "link", watched)
    segment = Segment(path.name, header, path.parent)
    assert seen == [([], True, True)]
    assert os.listdir(path.parent) == [path.name]
    segment.close()


@pytest.mark.parametrize("step", ["write", "link"])
def test_nothing_is_left_of_one_that_could_not_be_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = open_files(), memories()
    with monkeypatch.context() as patch:
        patch.setattr(os, step, failing(errno.EIO))
        with pytest.raises(SharingError):
            Segment(new_name(), described(), tmp_path)
    assert os.listdir(tmp_path) == []
    assert (open_files(), memories()) == before


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
    memory = memory_of(path)
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
    before = bytes(memory_of(path))
    with pytest.raises(ValueError, match="allowed is"):
        segment.write(noise(described(width=18)), noted(), GRACE_NS)
    with pytest.raises(ValueError, match="allowed is"):
        segment.write(noise(described(width=1)), noted(), GRACE_NS)  # would fill every column
    assert memory_of(path) == before
    assert segment.write(noise(header), noted(), GRACE_NS)
    segment.close()


def test_closing_deletes_it_and_may_be_repeated(path: Path) -> None:
    before = open_files()
    segment = Segment(path.name, described(), path.parent)
    segment.keep_alive(7)
    words = memory_of(path).cast("Q")
    with path.open("rb") as file:
        assert (words[LIVENESS], locked(file.fileno())) == (7, True)
        segment.close()
        assert (words[LIVENESS], locked(file.fileno())) == (0, False), "it is not at work any more"
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


def test_too_little_memory_is_an_error_that_says_what_can_be_done(tmp_path: Path) -> None:
    """More than any machine has."""
    with pytest.raises(SharingError) as caught:
        Segment(new_name(), replace(described(slots=1024), height=2**20, width=2**20), tmp_path)
    assert str(caught.value) == (
        "no shared memory for 1024 pictures of 1048576x1048576 bgr, 3221225476 MiB: "
        "Cannot allocate memory; see sysctl kernel.shmmax, shmall, shmmni, or share less (--share-size, "
        "--share-format, a shorter --max-age)"
    )
    assert os.listdir(tmp_path) == []


def test_a_folder_that_may_not_be_written_to_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", failing(errno.EACCES))
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
