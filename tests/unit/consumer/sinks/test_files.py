"""How sinks refuse files, and how they say that one has failed."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from fanlight.common.model.errors import ConfigError, SinkError
from fanlight.consumer.sinks.files import FileThread, WriteRetry, require_suffix


@pytest.mark.parametrize("name", ["x", "x.avi", ".mp4", "x.mp4.txt"])
def test_another_extension_is_refused_with_those_allowed(name: str) -> None:
    with pytest.raises(ConfigError) as refused:
        require_suffix("record", Path(name), (".mp4", ".mkv"))
    expected = f"--sink 'record:{name}' cannot be used: allowed is a file name that ends in .mp4 or .mkv"
    assert str(refused.value) == expected


SECOND = 1_000_000_000
FULL = OSError(errno.ENOSPC, "No space left on device")


def test_a_failing_write_is_logged_when_it_begins_and_when_it_is_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    retry = WriteRetry("trace", tmp_path / "t.csv")
    assert (retry.failing, retry.failure, retry.due(0)) == (False, None, True)
    for second in range(5):
        retry.failed(FULL, second * SECOND)
    assert retry.failing
    failure = f"trace:{tmp_path / 't.csv'} cannot be written any further: No space left on device"
    assert str(retry.failure) == failure
    retry.succeeded(", in t-2.csv")
    retry.succeeded()
    assert [message.removeprefix(f"trace:{tmp_path / 't.csv'} ") for message in caplog.messages] == [
        "cannot be written: No space left on device; free some space, it goes on by itself",
        "can be written again, in t-2.csv",
    ]
    assert retry.failure is None


def test_failures_that_come_and_go_are_logged_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    retry = WriteRetry("trace", Path("t.csv"))
    for tenth in range(10):
        retry.failed(FULL, tenth * SECOND // 10)
        retry.succeeded()
    assert len(caplog.messages) == 2


def test_a_failing_file_is_tried_once_a_second_if_there_is_room(tmp_path: Path) -> None:
    for room_bytes, tries in ((0, [10, 20]), (10**18, [])):
        retry = WriteRetry("record", tmp_path / "r.mp4", room_bytes)
        retry.failed(FULL, 0)
        assert [tenth for tenth in range(30) if retry.due(tenth * SECOND // 10)] == tries
    retry.failed(OSError(errno.EMFILE, "Too many open files"), 0)
    assert retry.due(SECOND)


def test_a_thread_reports_its_failure_once(tmp_path: Path) -> None:
    def fail() -> None:
        raise FULL

    thread = FileThread("trace", tmp_path / "t.csv", fail, lambda: None)
    with pytest.raises(SinkError, match="cannot be written any further: No space left on device"):
        thread.close()
    thread.check()  # the second time nothing is raised


def test_a_thread_is_stopped_and_waited_for(tmp_path: Path) -> None:
    stopped, done = threading.Event(), []

    def work() -> None:
        stopped.wait()
        done.append(True)

    FileThread("trace", tmp_path / "t.csv", work, stopped.set).close()
    assert done == [True]
