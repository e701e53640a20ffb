from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fanlight.common.model.errors import SharingError
from fanlight.common.model.pixels import PictureFormat, PixelFormat
from fanlight.common.shm.locks import Leadership, locked, remove_stale, segments
from fanlight.common.shm.private_folder import has_name, make_private, opened, opened_folder
from fanlight.common.shm.writer import Segment
from tests.unit.common.shm.build import (
    LEADER,
    RING,
    WRITER,
    child,
    described,
    end,
    names,
    new_name,
    open_files,
)

GREY = RING._replace(picture_format=PictureFormat(PixelFormat.GREY))


# Files ---------------------------------------------------------------------------------------------------


@pytest.fixture
def directory(folder: Path) -> Iterator[int]:
    """The open folder, with a file in it."""
    (make_private(folder) / "file").touch()
    with opened_folder(folder) as directory:
        yield directory


def test_a_file_is_locked_as_long_as_another_holds_it_and_not_by_asking(directory: int) -> None:
    with opened("file", os.O_RDONLY, directory) as reading:
        assert not locked(reading)
        with opened("file", os.O_RDONLY, directory) as writing:
            fcntl.flock(writing, fcntl.LOCK_EX | fcntl.LOCK_NB)
            assert locked(reading)
        assert not locked(reading)


def test_a_file_has_a_name_until_it_is_deleted_or_replaced(directory: int, folder: Path) -> None:
    for remove in (os.unlink, (folder / "other").replace):
        (folder / "file").touch()
        (folder / "other").touch()
        with opened("file", os.O_RDONLY, directory) as file:
            assert has_name(file)
            remove(folder / "file")
            assert not has_name(file)


def test_a_link_is_not_followed_nor_a_fifo_waited_for_and_all_are_closed(
    directory: int, folder: Path
) -> None:
    (folder / "link").symlink_to(folder / "file")
    os.mkfifo(folder / "fifo")
    before = open_files()
    with pytest.raises(OSError, match="symbolic"), opened("link", os.O_RDONLY, directory):
        pass
    for name in ("file", "fifo"):
        with opened(name, os.O_RDONLY, directory) as file:
            assert not os.get_inheritable(file)
    assert open_files() == before


# Segments ------------------------------------------------------------------------------------------------


def test_the_segments_of_a_ring_are_found_and_nothing_else(folder: Path) -> None:
    assert segments(RING, folder) == []
    wanted = [new_name(), new_name()]
    rings = [
        RING._replace(stream="cam2"), RING._replace(stream="ca"), GREY, RING._replace(source="0123abce"),
        RING._replace(picture_format=PictureFormat(size=(16, 8))),
    ]  # fmt: skip
    others = [new_name(ring) for ring in rings]
    made = [Segment(name, described(), folder) for name in wanted + others]
    leadership = Leadership(RING, folder)
    assert leadership.acquire()
    link = folder / new_name()
    link.symlink_to(folder / wanted[0])
    (folder / new_name()).mkdir()
    assert set(segments(RING, folder)) == set(wanted)
    assert segments(GREY, folder) == [others[2]]
    for segment in made:
        segment.close()
    assert segments(RING, folder) == []
    leadership.release()


def test_what_a_killed_hub_left_behind_is_deleted_and_nothing_else(folder: Path) -> None:
    alive, dead = new_name(), new_name()
    segment = Segment(alive, described(), folder)
    leadership = Leadership(GREY, folder)
    assert leadership.acquire()
    (folder / "secret").write_text("somebody else's")
    (folder / f"bak.{new_name()}").touch()
    (folder / new_name()).symlink_to(folder / "secret")
    (folder / new_name()).mkdir()
    os.mkfifo(folder / new_name())
    before = names(folder)

    with (
        child(WRITER, folder, dead, says="ready") as writer,
        child(LEADER, folder, says="True") as leader,
    ):
        assert names(folder) == before | {dead, RING.lock}
        assert remove_stale(folder) == 0, "all of them live"
        end(writer)
        assert segments(RING, folder) == [alive]
        assert remove_stale(folder) == 1
        assert names(folder) == before | {RING.lock}
        end(leader)
        assert remove_stale(folder) == 1
    assert names(folder) == before
    assert (folder / "secret").read_text() == "somebody else's"
    assert remove_stale(folder) == 0

    leadership.release()
    segment.close()


def test_what_another_user_left_there_stays(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give a file away")
    make_private(folder)
    name = new_name()
    (folder / name).touch()
    os.chown(folder / name, 4711, 4711)
    assert remove_stale(folder) == 0
    assert names(folder) == {name}


def test_what_cannot_be_deleted_stays_and_is_not_counted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_private(folder)
    (folder / new_name()).touch()

    def refused(name: str, *, dir_fd: int) -> None:
        raise PermissionError(1, "Operation not permitted", name)

    before = open_files()
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refused)
        assert remove_stale(folder) == 0
    assert open_files() == before
    assert remove_stale(folder) == 1


# Leadership ----------------------------------------------------------------------------------------------


def test_one_of_two_leads_until_it_releases_which_may_be_repeated(folder: Path) -> None:
    before = open_files()
    first, second = (Leadership(RING, folder) for _ in range(2))
    first.release()
    assert first.acquire()
    assert first.acquire(), "it leads already"
    assert (folder / RING.lock).stat().st_mode & 0o777 == 0o600
    assert not second.acquire()
    first.release()
    assert second.acquire()
    first.release()
    assert not first.acquire(), "the second release left the next leader alone"
    (folder / RING.lock).unlink()
    assert first.acquire()
    second.release()
    assert names(folder) == {RING.lock}, "that is the next leader's"
    first.release()
    assert not folder.exists()
    assert open_files() == before


def test_a_lock_that_was_deleted_meanwhile_is_no_leadership(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its holder releases it between the moment it is opened here and the moment it is locked."""
    first, second, third = (Leadership(RING, folder) for _ in range(3))
    assert first.acquire()
    lock = fcntl.flock

    def late(file: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        first.release()
        assert third.acquire()
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    before = open_files()
    assert not second.acquire()
    assert open_files() == before, "first's file is closed, third's is open"
    third.release()


PLANTED = {
    "a link": "ln -s elsewhere",
    "a folder": "mkdir",
    "a FIFO": "mkfifo",
    "open to others": "install -m 666 /dev/null",
    "another user's": "install -m 600 -o 4711 /dev/null",
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_lock_that_is_no_file_of_ours_is_not_taken_for_another_hub(folder: Path, what: str) -> None:
    if what == "another user's" and os.geteuid() != 0:
        pytest.skip("only root may give a file away")
    make_private(folder)
    subprocess.run([*PLANTED[what].split(), folder / RING.lock], check=True)
    before = open_files()
    with pytest.raises(SharingError, match=f"^{folder / RING.lock} cannot be used to share pictures: "):
        Leadership(RING, folder).acquire()
    assert open_files() == before
    assert names(folder) == {RING.lock}
