from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from common.errors import SharingError
from common.pixels import FULL_BGR, Form, PixelFormat
from common.sharing.layout import MAX_SLOTS, PAGE
from common.sharing.reader import Attachment, SharedPicture
from common.sharing.writer import Segment
from tests.unit.common.sharing.build import (
    GRACE_NS,
    STREAM,
    WRITER,
    child,
    described,
    end,
    new_name,
    noise,
    open_files,
)


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    """One that has room for three pictures."""
    segment = Segment(new_name(), described(), tmp_path)
    yield segment
    segment.close()


def attached(segment: Segment, folder: Path, form: Form = FULL_BGR) -> Attachment:
    return Attachment(segment.name, STREAM, form, folder)


def shared(segment: Segment, attachment: Attachment, now_ns: int = 0, seed: int = 0) -> SharedPicture:
    """A picture that has just been written."""
    written = segment.write(noise(segment.header, seed), now_ns)
    assert written is not None
    picture = attachment.picture(*written)
    assert picture is not None
    return picture


def refusal(name: str, folder: Path, stream: str = STREAM, form: Form = FULL_BGR) -> str:
    """Why it cannot be attached. Nothing stays open."""
    before = open_files()
    told = "it was attached"
    try:
        Attachment(name, stream, form, folder)
    except SharingError as error:
        told = str(error)
    assert open_files() == before
    return told


# Pictures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pixel_format", PixelFormat)
@pytest.mark.parametrize("size", [(16, 8), (2, 2), (642, 362)])
def test_pictures_of_every_format_come_out_as_they_went_in(
    tmp_path: Path, pixel_format: PixelFormat, size: tuple[int, int]
) -> None:
    form = Form(pixel_format)
    header = described(pixel_format, width=size[0], height=size[1])
    segment = Segment(new_name(form=form), header, tmp_path)
    attachment = attached(segment, tmp_path, form)
    assert attachment.header == header
    assert attachment.name == segment.name
    pictures = [shared(segment, attachment, seed=seed) for seed in range(3)]
    for seed, picture in enumerate(pictures):
        expected = noise(header, seed)
        assert picture.image.shape == expected.shape
        assert picture.image.dtype == np.uint8
        assert (picture.image == expected).all()
    segment.close()


def test_a_picture_is_read_only_and_no_copy(segment: Segment, tmp_path: Path) -> None:
    attachment = attached(segment, tmp_path)
    picture = shared(segment, attachment)
    image = picture.image
    assert not image.flags.writeable
    assert not image.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0, 0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        image.flags.writeable = True
    same, other = attachment.picture(0, 1), shared(segment, attachment)
    assert same is not None
    assert np.shares_memory(image, same.image)
    assert not np.shares_memory(image, other.image)


def test_what_is_done_to_the_shape_of_an_image_is_done_to_that_one_alone(
    segment: Segment, tmp_path: Path
) -> None:
    attachment = attached(segment, tmp_path)
    image = shared(segment, attachment).image
    image.shape = (image.size,)
    same = attachment.picture(0, 1)
    assert same is not None
    assert same.image.shape == (8, 16, 3)


def test_all_see_what_is_written(segment: Segment, tmp_path: Path) -> None:
    one, other = (attached(segment, tmp_path) for _ in range(2))
    picture = shared(segment, one)
    same = other.picture(0, 1)
    assert same is not None
    assert same.valid
    assert (same.image == picture.image).all()


def test_a_picture_is_valid_until_its_slot_is_written_again(segment: Segment, tmp_path: Path) -> None:
    attachment = attached(segment, tmp_path)
    pictures = [shared(segment, attachment, n, seed=n) for n in range(3)]
    assert segment.write(noise(segment.header), GRACE_NS - 1) is None
    assert [picture.valid for picture in pictures] == [True, True, True]
    for overwritten in range(3):
        assert segment.write(noise(segment.header, 9), GRACE_NS + overwritten) is not None
        assert [picture.valid for picture in pictures] == [n > overwritten for n in range(3)]
        for n in range(overwritten + 1, 3):
            assert (pictures[n].image == noise(segment.header, n)).all()


def test_a_picture_is_not_valid_while_another_one_is_written_over_it(
    segment: Segment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attachment = attached(segment, tmp_path)
    pictures = [shared(segment, attachment) for _ in range(3)]
    seen: list[tuple[bool, bool]] = []

    def watched(*_: object) -> None:
        seen.append((pictures[0].valid, any(attachment.picture(0, n) for n in range(1, 6))))

    with monkeypatch.context() as patch:
        patch.setattr(np, "copyto", watched)
        segment.write(noise(segment.header), GRACE_NS)
    assert seen == [(False, False)]
    assert attachment.picture(0, 4) is not None


def test_a_picture_that_is_not_there_is_none(segment: Segment, tmp_path: Path) -> None:
    attachment = attached(segment, tmp_path)
    for now_ns in (0, 1, 2, GRACE_NS):
        assert segment.write(noise(segment.header), now_ns) is not None
    there = {(0, 4), (1, 2), (2, 3)}
    for slot in (0, 1, 2, 3, MAX_SLOTS - 1):
        for generation in (1, 2, 3, 4, 5, 2**64 - 1):
            picture = attachment.picture(slot, generation)
            assert (picture is not None) == ((slot, generation) in there)


# The writer ----------------------------------------------------------------------------------------------


def test_it_says_when_its_writer_was_at_work(segment: Segment, tmp_path: Path) -> None:
    attachment = attached(segment, tmp_path)
    assert attachment.beat_ns == 0
    segment.beat(2**63)
    assert attachment.beat_ns == 2**63
    segment.close()
    assert attachment.beat_ns == 0


def test_it_is_alive_until_it_is_closed(segment: Segment, tmp_path: Path) -> None:
    attachment = attached(segment, tmp_path)
    assert [attachment.alive for _ in range(2)] == [True, True]
    segment.close()
    assert not attachment.alive
    Path(tmp_path / segment.name).touch()
    assert not attachment.alive, "another file of that name"


def test_it_is_not_alive_once_it_has_lost_its_name(segment: Segment, tmp_path: Path) -> None:
    attachment = attached(segment, tmp_path)
    (tmp_path / segment.name).unlink()
    assert not attachment.alive


def test_it_is_alive_until_its_writer_is_killed_and_its_pictures_stay(tmp_path: Path) -> None:
    name = new_name()
    with child(WRITER, tmp_path, name, says="ready") as writer:
        attachment = Attachment(name, STREAM, FULL_BGR, tmp_path)
        picture = attachment.picture(0, 1)
        assert picture is not None
        assert [attachment.alive] == [True]
        end(writer)
        assert not attachment.alive
    (tmp_path / name).unlink()
    assert not attachment.alive
    assert picture.valid
    assert (picture.image == noise(attachment.header)).all()


def test_pictures_stay_when_the_segment_is_closed_and_all_else_is_gone(
    segment: Segment, tmp_path: Path
) -> None:
    attachment = attached(segment, tmp_path)
    picture = shared(segment, attachment)
    image = picture.image
    del attachment
    segment.close()
    assert picture.valid
    assert (picture.image == noise(segment.header)).all()
    del picture
    assert (image == noise(segment.header)).all(), "an array alone keeps its memory"


def test_no_files_and_no_memory_stay(segment: Segment, tmp_path: Path) -> None:
    maps = Path("/proc/self/maps")
    before, mapped = open_files(), maps.read_text().count(segment.name)
    assert segment.write(noise(segment.header), 0) == (0, 1)
    for _ in range(200):
        attachment = attached(segment, tmp_path)
        picture = attachment.picture(0, 1)
        assert picture is not None
        assert picture.image.any()
        assert attachment.alive
        del attachment, picture
    assert open_files() == before
    assert maps.read_text().count(segment.name) == mapped


# Refusals ------------------------------------------------------------------------------------------------


def test_one_that_is_missing_cannot_be_read(tmp_path: Path) -> None:
    name = new_name()
    told = f"shared pictures {name} cannot be read: No such file or directory"
    assert refusal(name, tmp_path) == refusal(name, tmp_path / "missing") == told


def test_one_without_access_cannot_be_read(
    segment: Segment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_file = os.open

    def refused(path: Path, flags: int, *rest: int) -> int:
        if path == tmp_path / segment.name:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return open_file(path, flags, *rest)

    monkeypatch.setattr(os, "open", refused)
    told = f"shared pictures {segment.name} cannot be read: Permission denied"
    assert refusal(segment.name, tmp_path) == told


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o601])
def test_one_that_others_have_access_to_cannot_be_used(segment: Segment, tmp_path: Path, mode: int) -> None:
    (tmp_path / segment.name).chmod(mode)
    assert refusal(segment.name, tmp_path) == (
        f"shared pictures '{segment.name}' cannot be used: owner and mode is '{os.geteuid()} {mode:o}': "
        "allowed is own, 600"
    )


def test_one_of_another_user_cannot_be_used(
    segment: Segment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert f"owner and mode is '{owner} 600': allowed is own, 600" in refusal(segment.name, tmp_path)


@pytest.mark.parametrize("size", [0, 8, 55, 56, PAGE - 1, PAGE, PAGE + 1, 4 * PAGE - 1, 4 * PAGE + 1])
def test_one_of_another_size_than_it_says_cannot_be_used(
    segment: Segment, tmp_path: Path, size: int
) -> None:
    assert segment.header.file_bytes == 4 * PAGE
    copied = tmp_path / new_name()
    copied.write_bytes((tmp_path / segment.name).read_bytes()[:size].ljust(size, b"\0"))
    copied.chmod(0o600)
    assert f"shared pictures '{copied.name}' cannot be used: segment is '{size} bytes'" in refusal(
        copied.name, tmp_path
    )


def test_a_link_is_not_followed(segment: Segment, tmp_path: Path) -> None:
    link = tmp_path / new_name()
    link.symlink_to(tmp_path / segment.name)
    told = f"shared pictures {link.name} cannot be read: Too many levels of symbolic links"
    assert refusal(link.name, tmp_path) == told


def test_what_is_no_file_cannot_be_read(tmp_path: Path) -> None:
    folder = tmp_path / new_name()
    folder.mkdir(0o700)
    assert stat.S_ISDIR(folder.stat().st_mode)
    assert refusal(folder.name, tmp_path) == f"shared pictures {folder.name} cannot be read: Is a directory"


def test_another_stream_or_form_or_path_cannot_be_used(segment: Segment, tmp_path: Path) -> None:
    for refused in (
        refusal(segment.name, tmp_path, stream="cam2"),
        refusal(segment.name, tmp_path, form=Form(PixelFormat.GREY)),
        refusal(f"../{tmp_path.name}/{segment.name}", tmp_path),
        refusal(str(tmp_path / segment.name), tmp_path),
        refusal(f"{segment.name}\0", tmp_path),
    ):
        assert refused.startswith("shared pictures '")
        assert "cannot be used: segment is '" in refused
