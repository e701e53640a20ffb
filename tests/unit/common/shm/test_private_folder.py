"""The folder of this user: nobody else may enter it, and no other is used."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from fanlight.common.model.errors import SharingError
from fanlight.common.model.pixels import FULL_BGR
from fanlight.common.shm import private_folder
from fanlight.common.shm.locks import Leadership, remove_stale, segments
from fanlight.common.shm.private_folder import (
    SHARED_MEMORY,
    can_share,
    make_private,
    opened_folder,
    other_users,
    ring_folder,
)
from fanlight.common.shm.reader import Attachment
from fanlight.common.shm.writer import Segment
from tests.unit.common.shm.build import RING, WRITER, child, described, names, new_name


def test_every_user_has_a_folder_of_his_own_in_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ring_folder() == SHARED_MEMORY / f"fanlight-{os.geteuid()}"
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert ring_folder().name == "fanlight-4711"


def test_without_shared_memory_nothing_can_be_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert can_share()
    missing = tmp_path / "missing"
    monkeypatch.setattr(private_folder, "SHARED_MEMORY", missing)
    assert not can_share()
    why = f"{missing}/rings cannot be used to share pictures: No such file or directory"
    assert refusal(missing / "rings") == why


def test_it_is_made_private_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        make_private(folder)
    finally:
        os.umask(before)
    make_private(folder)
    assert folder.stat().st_mode & 0o7777 == 0o700
    assert folder.stat().st_uid == os.geteuid()


def refusal(folder: Path) -> str:
    """Why it is not used, by any of those who use it; it stays as it was."""
    before = names(folder)
    with pytest.raises(SharingError):
        Leadership(RING, folder).acquire()
    with pytest.raises(SharingError) as caught:
        Segment(new_name(), described(), folder)
    assert names(folder) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o702, 0o740, 0o1777])
def test_one_that_others_may_enter_is_refused(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    assert refusal(folder) == (
        f"{folder} belongs to user {os.geteuid()} with mode {mode & 0o777:o}: pictures are shared only in "
        "a folder of our own with mode 700; remove it"
    )


def test_one_of_another_user_is_refused(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give a folder away")
    folder.mkdir(0o700)
    os.chown(folder, 4711, 4711)
    assert f"{folder} belongs to user 4711 with mode 700" in refusal(folder)


def test_a_link_is_refused_and_so_is_a_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir(0o700)
    folder.symlink_to(tmp_path / "private")
    assert refusal(folder) == f"{folder} cannot be used to share pictures: Not a directory"
    folder.unlink()
    folder.symlink_to(tmp_path / "missing")
    why = f"{folder} cannot be used to share pictures: File exists"
    assert refusal(folder) == why
    folder.unlink()
    folder.touch(0o700)
    with pytest.raises(SharingError) as caught:
        make_private(folder)
    assert str(caught.value) == why


def test_one_that_is_replaced_while_it_is_used_is_not_followed(folder: Path) -> None:
    """Its files are reached by the descriptor that was checked."""
    make_private(folder)
    (folder / "ours").touch()
    with opened_folder(folder) as directory:
        folder.rename(folder.with_name("moved"))
        folder.mkdir()
        assert os.listdir(directory) == ["ours"]


# A name that another user has taken ----------------------------------------------------------------------

TAKEN = {
    "an empty file": "touch",
    "a folder": "mkdir -m 700",
    "an open folder": "mkdir -m 777",
    "a link to a private folder": "ln -s private",
    "a FIFO": "mkfifo",
}


@pytest.mark.parametrize("what", TAKEN)
def test_a_name_that_another_user_has_taken_keeps_nobody_from_sharing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give a file away")
    monkeypatch.setattr(private_folder, "SHARED_MEMORY", tmp_path)
    (tmp_path / "private").mkdir(0o700)
    plain = ring_folder()
    subprocess.run([*TAKEN[what].split(), plain], check=True)
    os.chown(plain, 4711, 4711, follow_symlinks=False)
    for suffix in ("", "0000"):  # and what might be chosen next
        other = tmp_path / f"{plain.name}.{suffix}"
        other.mkdir(0o700)
        os.chown(other, 4711, 4711)
    assert segments(RING) == [], "as long as there is none of ours"
    leadership = Leadership(RING)
    assert leadership.acquire()
    segment = Segment(new_name(), described())
    chosen = ring_folder()
    assert (chosen.parent, chosen.name.startswith(f"{plain.name}.")) == (tmp_path, True)
    assert chosen.stat().st_mode & 0o7777 == 0o700
    assert not Leadership(RING).acquire(), "there is one"
    (name,) = segments(RING)
    assert Attachment(name, FULL_BGR).alive
    subprocess.run(["rm", "-r", plain], check=True)
    assert ring_folder() == chosen, "as long as it is in use"
    segment.close()
    leadership.release()
    assert not chosen.exists()
    assert ring_folder() == plain


def test_users_who_share_are_known_by_folders_that_are_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give a folder away")
    monkeypatch.setattr(private_folder, "SHARED_MEMORY", tmp_path)
    ours = make_private()
    for name, owner in (
        ("fanlight-4711", 4711), ("fanlight-4712.abc", 4712), ("fanlight-4713", 4711),
        (f"{ours.name}.x", 4711), ("other-4714", 4714),
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, owner, owner)
    assert other_users() == {4711, 4712}


# What another user tries: to look around, to read a ring, to plant one, to put another folder there.
OTHER_USER = """
for attempt in "ls -d $0" "ls $0" "cat $0/$1" "touch $0/planted" "mv $0 $0.moved"; do
    $attempt >/dev/null 2>&1 && echo "$attempt"
done; true
"""


def test_other_users_are_locked_out() -> None:
    """In the shared memory of this host, where anybody may make files."""
    if os.geteuid() != 0:
        pytest.skip("only root may be somebody else")
    ring = RING._replace(stream="locked-out")
    leadership, segment = Leadership(ring), new_name(ring)
    assert leadership.acquire()
    with child(WRITER, ring_folder(), segment, says="ready"):
        other = subprocess.run(
            ["/bin/sh", "-c", OTHER_USER, ring_folder(), segment],
            user=65534, group=65534, extra_groups=[], cwd="/", check=True, capture_output=True, text=True,
        )  # fmt: skip
        assert other.stdout.splitlines() == [f"ls -d {ring_folder()}"], "it is there, and that is all"
    remove_stale()
    leadership.release()
