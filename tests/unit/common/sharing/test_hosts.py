from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from common.pixels import FULL_BGR, Form, PixelFormat
from common.sharing import hosts
from common.sharing.hosts import FOLDER, Leadership, held, host_id, is_still, live_segments, opened, reclaim
from common.sharing.layout import prefix
from common.sharing.writer import Segment
from tests.unit.common.sharing.build import (
    LEADER,
    ROOT,
    STREAM,
    WRITER,
    child,
    described,
    end,
    new_name,
    open_files,
)

GREY = Form(PixelFormat.GREY)
LOCK = f"{prefix(STREAM, FULL_BGR)}lock"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# Hosts ---------------------------------------------------------------------------------------------------


def test_a_host_has_an_id_that_is_alike_in_all_its_processes() -> None:
    script = "from common.sharing.hosts import host_id; print(host_id())"
    other = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert other.stdout.strip() == host_id()
    assert re.fullmatch("[0-9a-f]{12}", host_id() or "")


def test_another_file_system_is_another_host() -> None:
    assert host_id(FOLDER) == host_id()
    assert host_id(Path("/proc")) not in (host_id(), None)


def test_another_boot_is_another_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("another\n")
    before = host_id()
    monkeypatch.setattr(hosts, "_BOOT_ID", boot_id)
    assert host_id() not in (before, None)


def test_without_shared_memory_there_is_no_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert host_id(tmp_path / "missing") is None
    monkeypatch.setattr(hosts, "_BOOT_ID", tmp_path / "missing")
    assert host_id() is None


# Files ---------------------------------------------------------------------------------------------------


def test_a_file_is_held_as_long_as_its_lock_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with opened(path, os.O_RDONLY) as reading:
        assert not held(reading)
        with opened(path, os.O_RDONLY) as writing:
            fcntl.flock(writing, fcntl.LOCK_EX)
            assert held(reading)
        assert not held(reading)


def test_asking_leaves_no_lock_behind(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with opened(path, os.O_RDONLY) as one, opened(path, os.O_RDONLY) as other:
        assert not held(one)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_file_is_still_the_one_of_its_name_until_that_is_another_or_a_link(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with opened(path, os.O_RDONLY) as file:
        assert is_still(path, file)
        path.rename(tmp_path / "moved")
        assert not is_still(path, file)
        path.touch()
        assert not is_still(path, file)
        path.unlink()
        path.symlink_to(tmp_path / "moved")
        assert not is_still(path, file)


def test_a_link_is_not_followed_and_an_opened_file_is_closed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    before = open_files()
    with pytest.raises(OSError, match="symbolic"), opened(tmp_path / "link", os.O_RDONLY):
        pass
    with opened(tmp_path / "file", os.O_RDONLY) as file:
        assert not os.get_inheritable(file)
    assert open_files() == before


# Segments ------------------------------------------------------------------------------------------------


def test_the_live_segments_are_those_of_the_stream_and_form(tmp_path: Path) -> None:
    assert live_segments(STREAM, FULL_BGR, tmp_path) == []
    wanted = [new_name(), new_name(epoch=7)]
    others = [new_name("cam2"), new_name("ca"), new_name(form=GREY), new_name(form=Form(size=(16, 8)))]
    segments = [Segment(name, described(), tmp_path) for name in wanted + others]
    assert set(live_segments(STREAM, FULL_BGR, tmp_path)) == set(wanted)
    assert live_segments(STREAM, GREY, tmp_path) == [others[2]]
    for segment in segments:
        segment.close()
    assert live_segments(STREAM, FULL_BGR, tmp_path) == []


def test_locks_links_and_what_is_left_behind_are_no_live_segments(tmp_path: Path) -> None:
    segment = Segment(new_name(), described(), tmp_path)
    leadership = Leadership(STREAM, FULL_BGR, tmp_path)
    assert leadership.acquire()
    (tmp_path / new_name()).touch()
    (tmp_path / new_name()).symlink_to(tmp_path / segment.name)
    (tmp_path / new_name()).mkdir()
    assert live_segments(STREAM, FULL_BGR, tmp_path) == [segment.name]
    leadership.release()
    segment.close()


def test_in_a_folder_that_is_missing_nothing_is_found(tmp_path: Path) -> None:
    assert live_segments(STREAM, FULL_BGR, tmp_path / "missing") == []
    assert reclaim(tmp_path / "missing") == 0


def test_what_a_killed_hub_left_behind_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    alive, dead = Segment(new_name(), described(), tmp_path), new_name()
    leadership = Leadership(STREAM, GREY, tmp_path)
    assert leadership.acquire()
    (tmp_path / "secret").write_text("somebody else's")
    (tmp_path / "notfanlight.1.cam").touch()
    (tmp_path / "fanlight.1.link").symlink_to(tmp_path / "secret")
    (tmp_path / "fanlight.1.folder").mkdir()
    os.mkfifo(tmp_path / "fanlight.1.pipe")
    before = names(tmp_path)

    with (
        child(WRITER, tmp_path, dead, says="ready") as writer,
        child(LEADER, tmp_path, says="True") as leader,
    ):
        assert names(tmp_path) == before | {dead, LOCK}
        assert reclaim(tmp_path) == 0, "all of them live"
        end(writer)
        assert live_segments(STREAM, FULL_BGR, tmp_path) == [alive.name]
        assert reclaim(tmp_path) == 1
        assert names(tmp_path) == before | {LOCK}
        end(leader)
        assert reclaim(tmp_path) == 1
    assert names(tmp_path) == before
    assert (tmp_path / "secret").read_text() == "somebody else's"
    assert reclaim(tmp_path) == 0

    leadership.release()
    alive.close()


def test_what_cannot_be_deleted_stays_and_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / new_name()).touch()

    def refused(path: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    before = open_files()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refused)
        assert reclaim(tmp_path) == 0
    assert open_files() == before
    assert reclaim(tmp_path) == 1


def test_all_this_works_in_the_memory_of_this_host(stream: str) -> None:
    name = new_name(stream)
    leadership = Leadership(stream, FULL_BGR)
    assert leadership.acquire()
    with child(WRITER, FOLDER, name, says="ready") as writer:
        assert live_segments(stream, FULL_BGR) == [name]
        reclaim()
        assert live_segments(stream, FULL_BGR) == [name]
        end(writer)
        assert live_segments(stream, FULL_BGR) == []
        reclaim()
    assert [entry for entry in os.listdir(FOLDER) if f".{stream}." in entry] == [
        f"{prefix(stream, FULL_BGR)}lock"
    ]
    leadership.release()
    assert [entry for entry in os.listdir(FOLDER) if f".{stream}." in entry] == []


# Leadership ----------------------------------------------------------------------------------------------


def test_one_of_two_leads_until_it_hands_over(tmp_path: Path) -> None:
    first, second = (Leadership(STREAM, FULL_BGR, tmp_path) for _ in range(2))
    assert first.acquire()
    assert first.acquire(), "it leads already"
    assert not second.acquire()
    first.release()
    assert second.acquire()
    assert not first.acquire()
    second.release()
    assert names(tmp_path) == set()


def test_streams_and_forms_have_leaders_of_their_own(tmp_path: Path) -> None:
    leaders = [Leadership(*of, tmp_path) for of in ((STREAM, FULL_BGR), (STREAM, GREY), ("cam2", FULL_BGR))]
    assert all(leader.acquire() for leader in leaders)
    assert len(names(tmp_path)) == 3
    for leader in leaders:
        leader.release()
    assert names(tmp_path) == set()


def test_a_release_deletes_the_file_and_may_be_repeated(tmp_path: Path) -> None:
    before = open_files()
    leadership = Leadership(STREAM, FULL_BGR, tmp_path)
    leadership.release()
    assert leadership.acquire()
    assert (tmp_path / LOCK).stat().st_mode & 0o777 == 0o600
    leadership.release()
    leadership.release()
    assert names(tmp_path) == set()
    assert open_files() == before


def test_a_second_release_leaves_the_next_leader_alone(tmp_path: Path) -> None:
    first, second, third = (Leadership(STREAM, FULL_BGR, tmp_path) for _ in range(3))
    assert first.acquire()
    first.release()
    assert second.acquire()
    first.release()
    assert not third.acquire()
    second.release()


def test_a_killed_leader_hands_over(tmp_path: Path) -> None:
    next_one = Leadership(STREAM, FULL_BGR, tmp_path)
    with child(LEADER, tmp_path, says="True") as leader, child(LEADER, tmp_path, says="False"):
        assert not next_one.acquire()
        end(leader)
        assert next_one.acquire()
    next_one.release()
    assert names(tmp_path) == set()


def test_a_lock_that_was_deleted_meanwhile_is_no_leadership(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its holder releases it between the moment it is opened here and the moment it is locked."""
    first, second, third = (Leadership(STREAM, FULL_BGR, tmp_path) for _ in range(3))
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


def test_without_a_folder_nobody_leads_and_a_link_is_not_followed(tmp_path: Path) -> None:
    assert not Leadership(STREAM, FULL_BGR, tmp_path / "missing").acquire()
    (tmp_path / LOCK).symlink_to(tmp_path / "elsewhere")
    assert not Leadership(STREAM, FULL_BGR, tmp_path).acquire()
    assert names(tmp_path) == {LOCK}
