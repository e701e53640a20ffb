"""How sinks refuse files, and how they say that one has failed."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from fanlight.common.model.errors import ConfigError
from fanlight.consumer.sinks.files import Trouble, failed, require_suffix, unusable


def test_an_extension_is_read_whatever_its_case() -> None:
    assert require_suffix("record", Path("A.MP4"), (".mp4", ".mkv")) == ".mp4"


@pytest.mark.parametrize("name", ["x", "x.avi", ".mp4", "x.mp4.txt"])
def test_another_extension_is_refused_with_those_allowed(name: str) -> None:
    with pytest.raises(ConfigError) as refused:
        require_suffix("record", Path(name), (".mp4", ".mkv"))
    expected = f"--sink 'record:{name}' cannot be used: allowed is a file name that ends in .mp4 or .mkv"
    assert str(refused.value) == expected


def test_an_unusable_file_is_one_sentence() -> None:
    error = unusable(
        "trace", Path("/nope/x"), OSError(errno.ENOENT, "No such file or directory", "/nope/x")
    )
    assert str(error) == (
        "--sink 'trace:/nope/x' cannot be used: "
        "allowed is a file that can be written (No such file or directory)"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (ValueError("no such thing"), "no such thing"),
        (ValueError(), "ValueError()"),
    ],
)
def test_a_failure_is_told_in_the_errors_own_words(error: Exception, words: str) -> None:
    assert str(failed("trace", Path("x"), error)) == f"trace:x cannot be written any further: {words}"


SECOND = 1_000_000_000
FULL = OSError(errno.ENOSPC, "No space left on device")


def test_trouble_is_told_when_it_begins_and_when_it_is_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trouble = Trouble("trace", tmp_path / "t.csv")
    assert (trouble.broken, trouble.failure, trouble.try_now(0)) == (False, None, True)
    for second in range(5):
        trouble.began(FULL, second * SECOND)
    assert trouble.broken
    assert str(trouble.failure).endswith("cannot be written any further: No space left on device")
    trouble.over(", in t-2.csv")
    trouble.over()
    assert [message.removeprefix(f"trace:{tmp_path / 't.csv'} ") for message in caplog.messages] == [
        "cannot be written: No space left on device; free some space, it goes on by itself",
        "can be written again, in t-2.csv",
    ]
    assert trouble.failure is None


def test_trouble_that_comes_and_goes_is_told_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    trouble = Trouble("trace", Path("t.csv"))
    for tenth in range(10):
        trouble.began(FULL, tenth * SECOND // 10)
        trouble.over()
    assert len(caplog.messages) == 2


def test_a_file_in_trouble_is_tried_once_a_second_and_a_full_disk_only_if_there_is_room(
    tmp_path: Path,
) -> None:
    for room_bytes, tries in ((0, [10, 20]), (10**18, [])):
        trouble = Trouble("record", tmp_path / "r.mp4", room_bytes)
        trouble.began(FULL, 0)
        assert [tenth for tenth in range(30) if trouble.try_now(tenth * SECOND // 10)] == tries
    trouble.began(OSError(errno.EMFILE, "Too many open files"), 0)
    assert trouble.try_now(SECOND)


def test_a_folder_that_is_gone_has_no_room(tmp_path: Path) -> None:
    trouble = Trouble("record", tmp_path / "gone" / "r.mp4")
    trouble.began(FULL, 0)
    assert not trouble.try_now(SECOND)
