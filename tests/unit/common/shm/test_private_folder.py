"""The folder of this user: nobody else may enter it, and no other is used."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from fanlight.common.model.errors import SharingError
from fanlight.common.shm import folder as folder_module
from fanlight.common.shm.folder import (
    SHARED_MEMORY,
    Leadership,
    can_share,
    make_private,
    remove_stale,
    ring_folder,
)
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
    monkeypatch.setattr(folder_module, "SHARED_MEMORY", missing)
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
    with pytest.raises(SharingError) as caught:
        make_private(folder)
    with pytest.raises(SharingError):
        Leadership(RING, folder).acquire()
    with pytest.raises(SharingError):
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
    assert "with mode 777" in refusal(folder)
    folder.unlink()
    folder.symlink_to(tmp_path / "missing")
    why = f"{folder} cannot be used to share pictures: File exists"
    assert refusal(folder) == why
    folder.unlink()
    folder.touch(0o700)
    with pytest.raises(SharingError) as caught:
        make_private(folder)
    assert str(caught.value) == why


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
