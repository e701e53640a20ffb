from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.announcement import (
    EXPIRY_NS,
    INTERVAL_NS,
    Announcement,
    AnnouncementSchedule,
    Directory,
)
from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import Codec

SECOND: Final = 1_000_000_000
CAM: Final = Announcement(
    stream="cam",
    codec=Codec.H264,
    width=1280,
    height=720,
    fps=29.97,
    epoch=2**63 - 1,
    since_ns=1_700_000_000_000_000_001,
    watched=True,
)
DOOR: Final = replace(CAM, stream="door", epoch=5)


# JSON ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "announcement", [CAM, replace(CAM, width=None, height=None, watched=False), replace(CAM, ended=True)]
)
def test_it_is_read_as_it_was_written(announcement: Announcement) -> None:
    assert Announcement.from_json(announcement.to_json()) == announcement


def changed(**fields: object) -> bytes:
    table: dict[str, Any] = json.loads(CAM.to_json()) | fields
    return json.dumps({name: value for name, value in table.items() if value is not ...}).encode()


def test_fields_of_later_versions_are_ignored_and_ended_may_be_missing() -> None:
    assert Announcement.from_json(changed(ended=..., layers=["640x360"])) == CAM


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        *[({name: ...}, name) for name in ("v", "stream", "codec", "fps", "epoch", "since_ns", "watched")],
        ({"v": 2}, "v"),
        ({"v": True}, "v"),
        *[({"stream": one}, "stream") for one in ("", "a b", "a" * 65, "<img src=x>", 5, None, ["cam"])],
        *[({"codec": one}, "codec") for one in ("av1", "", None, 1, ["h264"])],
        *[({"width": one}, "width") for one in (0, -1, 16385, 1.5, True, "64")],
        *[({"height": one}, "height") for one in (0, 2**70, False)],
        ({"width": None}, "height"),
        ({"height": None}, "height"),
        *[({"fps": one}, "fps") for one in (0, -1, 1001, float("nan"), float("inf"), True, "30", None)],
        *[({"epoch": one}, "epoch") for one in (-1, 2**63, 1.0, "1", None, True)],
        *[({"since_ns": one}, "since_ns") for one in (-1, 2**63, 1.5, "1")],
        *[({"watched": one}, "watched") for one in (0, 1, "yes", None)],
        *[({"ended": one}, "ended") for one in (0, "", None)],
        ({"more": "x" * 4096}, "body size"),
    ],
)
def test_a_field_that_is_wrong_is_named(fields: dict[str, object], field: str) -> None:
    with pytest.raises(WireFormatError) as caught:
        Announcement.from_json(changed(**fields))
    assert caught.value.field == field
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"1", b"\xff", b"[" * 4000, b'{"v":1}', b"9" * 4000]
)
def test_what_is_no_such_object_is_refused(body: bytes) -> None:
    with pytest.raises(WireFormatError):
        Announcement.from_json(body)


def flipped(bit: int) -> bytes:
    whole = CAM.to_json()
    return (int.from_bytes(whole) ^ 1 << bit).to_bytes(len(whole))


@given(st.binary(max_size=200) | st.integers(0, 8 * len(CAM.to_json()) - 1).map(flipped))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    try:
        announcement = Announcement.from_json(body)
    except WireFormatError:
        return
    assert Announcement.from_json(announcement.to_json()) == announcement


def test_no_number_for_javascript_exceeds_what_a_double_holds() -> None:
    table = CAM.to_table()
    assert table["epoch"] == str(CAM.epoch)
    assert table["since_ms"] == CAM.since_ns // 10**6
    assert json.loads(json.dumps(table)) == table
    assert all(abs(value) < 2**53 for value in table.values() if isinstance(value, (int, float)))


# The directory -------------------------------------------------------------------------------------------


def test_streams_are_listed_by_name() -> None:
    directory = Directory()
    assert directory.live(0) == ()
    directory.observe(DOOR, 0)
    directory.observe(CAM, 0)
    assert directory.live(0) == (CAM, DOOR)


def test_what_is_not_heard_of_for_five_seconds_is_not_live() -> None:
    directory = Directory()
    directory.observe(CAM, 0)
    directory.observe(DOOR, 2 * SECOND)
    assert directory.live(EXPIRY_NS - 1) == (CAM, DOOR)
    assert directory.live(EXPIRY_NS) == (DOOR,)
    assert directory.live(EXPIRY_NS + 2 * SECOND) == ()
    directory.observe(CAM, 9 * SECOND)
    assert directory.live(9 * SECOND) == (CAM,)


def test_a_producer_that_ends_is_not_live_and_ends_no_other() -> None:
    directory = Directory()
    for each in (CAM, DOOR):
        directory.observe(each, 0)
    directory.observe(replace(CAM, epoch=1, ended=True), 0)
    assert directory.live(0) == (CAM, DOOR)
    directory.observe(replace(CAM, ended=True), 0)
    assert directory.live(0) == (DOOR,)


def test_of_two_producers_of_a_stream_the_one_that_came_last_is_listed() -> None:
    directory = Directory()
    old, new = replace(CAM, epoch=2), replace(CAM, epoch=1)
    for now_ns, each in enumerate((old, new, old, new, old)):
        directory.observe(each, now_ns)
    assert directory.live(9) == (new,)
    directory.observe(replace(new, ended=True), 9)
    assert directory.live(9) == (old,)


def test_beyond_the_largest_number_those_that_are_listed_stay_and_others_are_counted() -> None:
    directory = Directory(most=2)
    for each in (CAM, DOOR, replace(CAM, stream="gate"), replace(CAM, stream="yard")):
        directory.observe(each, 0)
    assert (directory.live(0), directory.dropped) == ((CAM, DOOR), 2)
    seen = replace(DOOR, watched=False)
    directory.observe(seen, 3 * SECOND)
    assert directory.live(EXPIRY_NS) == (seen,)
    directory.observe(replace(CAM, stream="gate"), EXPIRY_NS)
    assert len(directory.live(EXPIRY_NS)) == 2


# The schedule --------------------------------------------------------------------------------------------


def test_it_is_announced_every_two_seconds_and_at_once_when_it_changes() -> None:
    schedule, sent = AnnouncementSchedule(), []
    for tick in range(21):
        now_ns = tick * SECOND // 4
        watched = replace(CAM, watched=tick >= 10)
        if schedule.due(watched, now_ns):
            sent.append(now_ns)
    assert sent == [0, INTERVAL_NS, 10 * SECOND // 4, 10 * SECOND // 4 + INTERVAL_NS]


def test_what_changes_all_the_time_is_announced_a_few_times_a_second() -> None:
    schedule = AnnouncementSchedule()
    times_ms = [
        ms for ms in range(1000) if schedule.due(replace(CAM, watched=bool(ms % 2)), ms * 1_000_000)
    ]
    assert 2 <= len(times_ms) <= 5
    assert schedule.due(CAM, 5 * SECOND), "the last state is announced in the end"
