from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from stat import S_IFREG, filemode

import numpy as np
import pytest

from fanlight.common.model.errors import SharingError
from fanlight.common.model.meta import MAX_META_BYTES
from fanlight.common.model.pixels import FULL_BGR, PictureFormat, PixelFormat
from fanlight.common.shm import memory
from fanlight.common.shm.layout import FILE, MAGIC, PAGE, SLOT, Slot
from fanlight.common.shm.reader import Attachment, SharedPicture
from fanlight.common.shm.writer import Segment
from tests.support.timing import scaled, wait_until
from tests.unit.common.shm.build import (
    GRACE_NS,
    WRITER,
    child,
    described,
    end,
    in_futex,
    memories,
    memory_of,
    new_name,
    noise,
    noted,
    open_files,
)


@pytest.fixture
def name() -> str:
    return new_name()


@pytest.fixture
def segment(name: str, tmp_path: Path) -> Iterator[Segment]:
    """One that has room for three pictures."""
    segment = Segment(name, described(), tmp_path)
    yield segment
    segment.close()


@pytest.fixture
def attachment(segment: Segment, name: str, tmp_path: Path) -> Attachment:
    return Attachment(name, FULL_BGR, tmp_path)


def shared(segment: Segment, attachment: Attachment, now_ns: int = 0, seed: int = 0) -> SharedPicture:
    """A picture that has just been written."""
    assert segment.write(noise(segment.header, seed), noted(), now_ns)
    return attachment.picture(attachment.newest)


def refusal(name: str, folder: Path, picture_format: PictureFormat = FULL_BGR) -> str:
    """Why it cannot be attached. Nothing stays open."""
    before = open_files()
    with pytest.raises(SharingError) as caught:
        Attachment(name, picture_format, folder)
    why = str(caught.value)
    del caught
    assert open_files() == before
    return why


# Pictures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pixel_format", PixelFormat)
@pytest.mark.parametrize("size", [(16, 8), (2, 2), (642, 362)])
def test_pictures_of_every_format_come_out_as_they_went_in(
    tmp_path: Path, name: str, pixel_format: PixelFormat, size: tuple[int, int]
) -> None:
    header = described(pixel_format, width=size[0], height=size[1])
    segment = Segment(name, header, tmp_path)
    attachment = Attachment(name, PictureFormat(pixel_format), tmp_path)
    assert attachment.header == header
    taken = [shared(segment, attachment, seed=seed) for seed in range(3)]
    for seed, picture in enumerate(taken):
        expected = noise(header, seed)
        assert picture.image.shape == expected.shape
        assert picture.image.dtype == np.uint8
        assert (picture.image == expected).all()
    segment.close()


def test_a_picture_is_read_only_and_no_copy(segment: Segment, attachment: Attachment) -> None:
    image = shared(segment, attachment).image
    assert not image.flags.writeable
    assert not image.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0, 0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        image.flags.writeable = True
    other = shared(segment, attachment)
    assert np.shares_memory(image, attachment.picture(1).image)
    assert not np.shares_memory(image, other.image)
    image.shape = (image.size,)
    assert attachment.picture(1).image.shape == (8, 16, 3), "a shape of its own"


def test_all_see_what_is_written(segment: Segment, name: str, tmp_path: Path) -> None:
    one, other = (Attachment(name, FULL_BGR, tmp_path) for _ in range(2))
    assert (one.newest, one.slot(1)) == (0, None), "nothing was written yet"
    picture = shared(segment, one)
    assert one.newest == other.newest == 1
    assert one.slot(1) == other.slot(1) == noted()._replace(number=1)
    assert other.picture(1).valid
    assert (other.picture(1).image == picture.image).all()


META = ['{"gps":[48.1,11.6]}', "", '{"' + 1020 * "\u00e9" + '":100}']
"""The last is as long as a meta can be."""


def test_each_picture_has_its_own_meta_until_it_is_overwritten(
    segment: Segment, attachment: Attachment
) -> None:
    for number, meta in enumerate([*META, "{}"]):
        assert segment.write(noise(segment.header, number), noted(), number * GRACE_NS, meta.encode())
        slot = attachment.slot(number + 1)
        assert slot is not None
        assert (slot.meta_bytes, attachment.meta(slot)) == (len(meta.encode()), meta)
        assert (attachment.picture(number + 1).image == noise(segment.header, number)).all()
    assert len(META[2].encode()) == MAX_META_BYTES
    assert attachment.meta(noted()._replace(number=1, meta_bytes=5)) == "", "its slot has the fourth now"


def test_a_picture_is_valid_until_its_slot_is_written_again(
    segment: Segment, attachment: Attachment
) -> None:
    taken = [shared(segment, attachment, n, seed=n) for n in range(3)]
    assert not segment.write(noise(segment.header), noted(), GRACE_NS - 1)
    assert [picture.valid for picture in taken] == [True, True, True]
    for overwritten in range(3):
        assert segment.write(noise(segment.header, 9), noted(), GRACE_NS + overwritten)
        assert [picture.valid for picture in taken] == [n > overwritten for n in range(3)]
        for n in range(overwritten + 1, 3):
            assert (taken[n].image == noise(segment.header, n)).all()


def test_neither_pixels_nor_fields_count_while_others_are_written_over_them(
    segment: Segment, attachment: Attachment, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, *_ = [shared(segment, attachment) for _ in range(3)]
    seen: list[tuple[bool, int, list[Slot | None]]] = []

    def watched(*_: object) -> None:
        seen.append((picture.valid, attachment.newest, [attachment.slot(number) for number in (1, 4)]))

    with monkeypatch.context() as patch:
        patch.setattr(np, "copyto", watched)
        segment.write(noise(segment.header), noted(), GRACE_NS)
    assert seen == [(False, 3, [None, None])]
    assert attachment.slot(4) is not None


def test_fields_that_are_overwritten_while_they_are_read_are_none(
    segment: Segment, attachment: Attachment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seq in range(3):
        assert segment.write(noise(segment.header), noted(seq), seq)
    read: list[tuple[int, ...]] = []

    def late(memory: memoryview, at: int) -> tuple[int, ...]:
        """The writer comes after the number was read, and before the rest is."""
        number = SLOT.unpack_from(memory, at)[0]
        assert segment.write(noise(segment.header), noted(99), GRACE_NS)
        read.append((number, *SLOT.unpack_from(memory, at)[1:]))
        return read[-1]

    with monkeypatch.context() as patch:
        patch.setattr("fanlight.common.shm.reader._unpack", late)
        assert attachment.slot(1) is None
    assert [fields[:2] for fields in read] == [(1, 99)]


def test_a_picture_that_is_not_there_is_none(segment: Segment, attachment: Attachment) -> None:
    for turn, now_ns in enumerate((0, 1, 2, GRACE_NS)):
        assert segment.write(noise(segment.header), noted(turn), now_ns)
    found = {number: attachment.slot(number) for number in (1, 2, 3, 4, 5, 7, 2**64 - 1)}
    assert {number: slot.seq for number, slot in found.items() if slot} == {2: 1, 3: 2, 4: 3}
    assert all(slot.number == number for number, slot in found.items() if slot)
    assert [attachment.picture(number).valid for number in (1, 2, 5)] == [False, True, False]


# Waiting -------------------------------------------------------------------------------------------------


def test_a_wait_ends_with_the_next_picture_and_with_the_segment(
    segment: Segment, attachment: Attachment
) -> None:
    for number, happens in enumerate((lambda: shared(segment, attachment), segment.close)):
        woken: list[tuple[int, int]] = []

        def waiting(number: int = number, woken: list[tuple[int, int]] = woken) -> None:
            woken.append((attachment.wait(number, 60), attachment.liveness_ns))

        segment.keep_alive(7)
        thread = threading.Thread(target=waiting)
        thread.start()
        wait_until(partial(in_futex, thread), 20, "it waits")
        happens()
        thread.join(scaled(20))
        assert woken == [(1, 7 * (1 - number))]


# The writer ----------------------------------------------------------------------------------------------


def test_it_is_alive_until_it_is_closed_and_knows_when_its_writer_was(
    segment: Segment, attachment: Attachment, name: str, tmp_path: Path
) -> None:
    assert [attachment.alive for _ in range(2)] == [True, True]
    assert attachment.liveness_ns == 0
    segment.keep_alive(2**63)
    assert attachment.liveness_ns == 2**63
    segment.close()
    assert (attachment.alive, attachment.liveness_ns) == (False, 0)
    (tmp_path / name).touch()
    assert not attachment.alive, "another file of that name"


def test_it_is_alive_until_its_writer_is_killed(name: str, tmp_path: Path) -> None:
    with child(WRITER, tmp_path, name, says="ready") as writer:
        attachment = Attachment(name, FULL_BGR, tmp_path)
        assert [attachment.alive] == [True]
        end(writer)
        assert not attachment.alive
    assert attachment.picture(1).valid


def test_pictures_stay_when_the_segment_is_closed_and_nothing_else_does(tmp_path: Path) -> None:
    before = open_files(), memories()
    for _ in range(100):
        name = new_name()
        segment = Segment(name, described(), tmp_path)
        attachment = Attachment(name, FULL_BGR, tmp_path)
        picture = shared(segment, attachment)
        image = picture.image
        del attachment
        segment.close()
        assert picture.valid
        del picture
        assert (image == noise(segment.header)).all(), "an array alone keeps its memory"
        del image
    assert (open_files(), memories()) == before
    assert os.listdir(tmp_path) == []
    assert "/SYSV" not in Path("/proc/self/maps").read_text()


# Refusals ------------------------------------------------------------------------------------------------


def test_neither_a_missing_file_nor_a_link_nor_a_folder_is_read(
    segment: Segment, name: str, tmp_path: Path
) -> None:
    missing, link, folder = (tmp_path / new_name() for _ in range(3))
    link.symlink_to(tmp_path / name)
    folder.mkdir(0o700)
    for path, why in (
        (missing, "cannot be read: No such file or directory"),
        (missing / name, "cannot be read: No such file or directory"),
        (link, "cannot be read: Too many levels of symbolic links"),
    ):
        assert refusal(path.name, path.parent) == f"shared pictures {path.name} {why}"
    assert f"owner and mode is '{os.geteuid()} drwx------'" in refusal(folder.name, tmp_path)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o601])
def test_one_that_others_have_access_to_cannot_be_used(
    segment: Segment, name: str, tmp_path: Path, mode: int
) -> None:
    (tmp_path / name).chmod(mode)
    assert refusal(name, tmp_path) == (
        f"shared pictures '{name}' cannot be used: owner and mode is '{os.geteuid()} "
        f"{filemode(mode | S_IFREG)}': allowed is own, -rw-------"
    )


def test_one_of_another_user_cannot_be_used(segment: Segment, name: str, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give a file away")
    os.chown(tmp_path / name, 4711, 4711)
    assert "owner and mode is '4711 -rw-------': allowed is own, -rw-------" in refusal(name, tmp_path)


# Another user has memory of his own, to which a file of ours leads.
STRANGER = """
import os, sys
from tests.unit.common.shm.build import described
from fanlight.common.shm import memory
from fanlight.common.shm.layout import FILE, MAGIC
file, header = open(sys.argv[1], "wb"), described().serialize()
os.setuid(4711)
number, kept = memory.create(described().memory_bytes)
kept[: len(header)] = header
file.write(FILE.pack(MAGIC, number))
file.close()
print("ready", flush=True)
sys.stdin.read()
"""


def test_memory_of_another_user_cannot_be_used(name: str, tmp_path: Path) -> None:
    """Even by root, who may attach any memory."""
    if os.geteuid() != 0:
        pytest.skip("only root may be somebody else")
    (tmp_path / name).touch(0o600)
    with child(STRANGER, tmp_path / name, says="ready"):
        assert "cannot be used: owner is 4711: allowed is 0, who uses it" in refusal(name, tmp_path)


@pytest.mark.parametrize("size", [0, 8, 11, 13, 4096])
def test_a_file_of_another_size_cannot_be_used(
    segment: Segment, name: str, tmp_path: Path, size: int
) -> None:
    copied = tmp_path / new_name()
    copied.write_bytes((tmp_path / name).read_bytes()[:size].ljust(size, b"\0"))
    copied.chmod(0o600)
    assert f"shared pictures '{copied.name}' cannot be used: file is" in refusal(copied.name, tmp_path)


def planted(folder: Path, number: int) -> str:
    """The name of a file that says this memory."""
    path = folder / new_name()
    path.write_bytes(FILE.pack(MAGIC, number))
    path.chmod(0o600)
    return path.name


def test_a_fifo_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    fifo = tmp_path / new_name()
    os.mkfifo(fifo, 0o600)
    assert "owner and mode is" in refusal(fifo.name, tmp_path)


def test_memory_that_is_not_there_or_of_other_contents_cannot_be_used(
    segment: Segment, name: str, tmp_path: Path
) -> None:
    number, other = memory.create(4096)
    assert "cannot be used: segment is" in refusal(planted(tmp_path, number), tmp_path)
    for size_bytes in (segment.header.memory_bytes - 1, segment.header.memory_bytes + PAGE):
        number, other = memory.create(size_bytes)
        other[:PAGE] = memory_of(tmp_path / name)[:PAGE]
        assert f"segment is '{size_bytes} bytes'" in refusal(planted(tmp_path, number), tmp_path)
    del other
    assert "cannot be read: " in refusal(planted(tmp_path, number), tmp_path)
    assert "cannot be read: " in refusal(planted(tmp_path, -1), tmp_path)


def test_a_truncated_file_hurts_neither_hub_nor_viewers(
    segment: Segment, attachment: Attachment, name: str, tmp_path: Path
) -> None:
    """The owner may truncate it: it has no pictures."""
    os.truncate(tmp_path / name, 0)
    for seed in range(3):
        assert (shared(segment, attachment, seed=seed).image == noise(segment.header, seed)).all()
    assert attachment.alive


@pytest.mark.usefixtures("segment")
def test_another_form_than_its_name_says_cannot_be_used(name: str, tmp_path: Path) -> None:
    for picture_format in (PictureFormat(PixelFormat.GREY), PictureFormat(size=(16, 9))):
        why = f"cannot be used: pictures is 'bgr 16x8': allowed is {picture_format}, as in its name"
        assert refusal(name, tmp_path, picture_format) == f"shared pictures '{name}' {why}"
    assert Attachment(name, PictureFormat(size=(16, 8)), tmp_path).header == described()
