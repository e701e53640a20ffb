from __future__ import annotations

import re
import threading
from collections.abc import Callable
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.errors import ConfigError
from fanlight.common.model.units import (
    checked,
    count,
    duration_s,
    flag,
    name,
    one_of,
    positive_duration_s,
    rate_fps,
    size_px,
)

READERS: list[Callable[[str], object]] = [
    duration_s, positive_duration_s, size_px, rate_fps, count, flag, name,
]  # fmt: skip

DURATION = "a duration such as 500ms, 20s, 1.5m or 2h, up to 1000h"
POSITIVE = "a duration above 0, such as 500ms or 20s"
SIZE = "WIDTHxHEIGHT such as 1280x720, up to 33177600 pixels"
RATE = "a number of frames per second above 0 and up to 1000"
COUNT = "a whole number from 1"
FLAG = "1 or 0 (also true/false, yes/no, on/off)"
NAME = "1 to 64 letters, digits, '-' or '_'"


def refusal(read: Callable[[str], object], text: str) -> str | None:
    try:
        read(text)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("read", "values"),
    [
        (duration_s, {
            "500ms": 0.5, "20s": 20, "1.5m": 90, "2h": 7200, "3": 3, ".5": 0.5, "0.25s": 0.25, "0": 0,
            "0ms": 0, " 10s ": 10, "0033ms": 0.033, "1000h": 3_600_000,
        }),
        (size_px, {
            "1280x720": (1280, 720), "1x1": (1, 1), "7680x4320": (7680, 4320), "641x481": (641, 481),
            " 64x48 ": (64, 48), "16384x1": (16384, 1),
        }),
        (rate_fps, {"30": 30, "29.97": 29.97, "0.2": 0.2, "1000": 1000, "1e2": 100}),
        (count, {"1": 1, "007": 7, "999999999999999": 10**15 - 1}),
        (flag, dict.fromkeys(["1", "true", "yes", "on", "ON", " True "], True)),
        (flag, dict.fromkeys(["0", "false", "no", "off", "OFF", "", " "], False)),
        (name, {text: text for text in ("cam", "c1", "Cam_2-b", "-", "a" * 64)}),
    ],
)  # fmt: skip
def test_what_can_be_read(read: Callable[[str], object], values: dict[str, object]) -> None:
    assert {text: read(text) for text in values} == values


HUGE = "9" * 5000  # more digits than int() takes


@pytest.mark.parametrize(
    ("read", "rule", "texts"),
    [
        (duration_s, DURATION, ["", "s", "1d", "-1", "-1ms", "+1s", "1 s", "1e3", "1.", "1,5s", "1s1s"]),
        (duration_s, DURATION, ["inf", "nan", "0x10", "one", "1000.1h", "1001h", "9" * 400, HUGE + "h"]),
        (positive_duration_s, POSITIVE, ["0", "0s", "0.0ms", ".0h"]),
        (positive_duration_s, DURATION, ["", "-1", "x", "9" * 400]),
        (size_px, SIZE, ["", "1280", "1280x", "x720", "1280X720", "1280*720", "1280x720x3", "-1x5"]),
        (
            size_px,
            SIZE,
            ["0x5", "5x0", "1280.0x720", "1280 x 720", "7681x4320", "16385x1", "1x16385", HUGE],
        ),
        (rate_fps, RATE, ["", "0", "0.0", "-0", "-1", "1000.1", "inf", "-inf", "nan", "thirty", "30fps"]),
        (rate_fps, RATE, ["1/2", "1e-400", "9" * 400]),
        (
            count,
            COUNT,
            ["", "0", "000", "-1", "+1", "1.0", "1e3", " 1", "1_0", "x", "٣", "²", "1" * 16, HUGE],
        ),
        (flag, FLAG, ["2", "y", "wahr", "truee", "-1", "1.0", "None"]),
        (name, NAME, ["", " ", "a" * 65, "a b", "a.b", "a/b", "a\n", "\ta", "é", "a*", "a#", "a\0"]),
    ],
)
def test_what_cannot_be_read_is_answered_with_what_is_allowed(
    read: Callable[[str], object], rule: str, texts: list[str]
) -> None:
    for text in texts:
        with pytest.raises(ValueError, match=f"^{re.escape(rule)}$"):
            read(text)


def test_every_duration_that_is_allowed_can_be_waited_for() -> None:
    assert duration_s("1000h") < threading.TIMEOUT_MAX
    assert duration_s("1000h") * 1000 < 2**32, "x-message-ttl is milliseconds in 32 bits"


def test_checked_names_the_setting() -> None:
    assert checked("--fps", "30", rate_fps) == 30.0
    with pytest.raises(ConfigError) as caught:
        checked("--frames", "0", count)
    assert str(caught.value) == "--frames '0' cannot be used: allowed is a whole number from 1"
    assert caught.value.__suppress_context__


@given(st.text(max_size=30) | st.from_regex(r"[0-9.x\-+]{1,12}(ms|s|m|h)?", fullmatch=True))
def test_any_text_is_read_or_refused_with_a_value_error_of_ours(text: str) -> None:
    rules = {DURATION, POSITIVE, SIZE, RATE, COUNT, FLAG, NAME}
    assert {refusal(read, text) for read in READERS} <= rules | {None}


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize(("joint", "names"), [(", ", "red, blue"), (" or ", "red or blue")])
def test_a_name_is_read_and_others_are_refused_with_those_there_are(joint: str, names: str) -> None:
    read = one_of(Colour, joint)
    assert [read(str(colour)) for colour in Colour] == list(Colour)
    for text in ("", "RED", "green", "red "):
        with pytest.raises(ValueError, match=rf"^{names}$"):
            read(text)
    with pytest.raises(ValueError, match=r"^blue$"):
        one_of([Colour.BLUE])("red")
