from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

import fanlight
from fanlight.common.model.errors import ConfigError
from fanlight.consumer.directory import as_json, as_text
from fanlight.consumer.settings import ConsumerSettings
from tests.unit.common.transport.tcp.build import ANNOUNCEMENT

DOOR = replace(ANNOUNCEMENT, stream="front-door", width=1280, height=720, fps=29.97, watched=True)


def test_the_table_has_a_line_for_each_stream() -> None:
    head, cam, door = as_text([ANNOUNCEMENT, DOOR]).splitlines()
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ANNOUNCEMENT.since_ns // 10**9))
    assert head.split() == ["STREAM", "CODEC", "SIZE", "FPS", "SINCE", "WATCHED", "EPOCH"]
    assert cam.split() == ["cam", "jpeg", "-", "30", *since.split(), "no", "7"]
    assert door.split() == ["front-door", "jpeg", "1280x720", "30", *since.split(), "yes", "7"]
    assert head.index("EPOCH") == cam.index("7", len(cam) - 1) == len(door) - 1


def test_times_before_and_far_behind_ours_are_written() -> None:
    for since_ns in (0, 2**63 - 1):
        assert "cam" in as_text([replace(ANNOUNCEMENT, since_ns=since_ns)])


def test_no_stream_is_said_in_words_and_is_an_empty_array() -> None:
    assert as_text([]) == "no stream is live\n"
    assert json.loads(as_json([])) == []


def test_json_has_a_line_for_each_stream() -> None:
    text = as_json([ANNOUNCEMENT, DOOR])
    assert json.loads(text) == [ANNOUNCEMENT.to_table(), DOOR.to_table()]
    assert len(text.splitlines()) == 2


def test_json_without_list_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--json 'on' cannot be used: .*--list"):
        ConsumerSettings(json=True)


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), "soon"])
def test_a_timeout_that_is_none_is_refused(timeout_s: float) -> None:
    with pytest.raises(ConfigError, match="timeout_s"):
        fanlight.streams(timeout_s=timeout_s)
