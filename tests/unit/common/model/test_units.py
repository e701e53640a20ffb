from __future__ import annotations

import re
import threading
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.errors import ConfigError
from fanlight.common.model.frame import MAX_BODY_BYTES, MAX_SIDE
from fanlight.common.model.units import (
    BODY_BYTES,
    COUNT,
    DURATION,
    FILE,
    NAME,
    PIXELS,
    RATE,
    SIZE,
    SWITCH,
    AmbiguousText,
    Notation,
    checked,
    count,
    duration,
    duration_text,
    one_of,
    rate_text,
)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


COLOUR = one_of(Colour)
ZERO_TO_HOUR = duration(3600, zero=True)
SMALL = count(0, 9, "0 to 9")
ALL: list[Notation[Any]] = [
    BODY_BYTES, COUNT, DURATION, FILE, NAME, PIXELS, RATE, SIZE, SWITCH, COLOUR, ZERO_TO_HOUR, SMALL,
]  # fmt: skip
HUGE = "9" * 5000  # more digits than int() takes


@pytest.mark.parametrize(
    ("notation", "values"),
    [
        (DURATION, {
            "500ms": 0.5, "20s": 20, "1.5m": 90, "2h": 7200, ".5s": 0.5, "0.25s": 0.25,
            " 10s ": 10, "0033ms": 0.033, "1000h": 3_600_000,
        }),
        (ZERO_TO_HOUR, {"0": 0, "0ms": 0, "1h": 3600}),
        (SIZE, {
            "1280x720": (1280, 720), "1x1": (1, 1), "7680x4320": (7680, 4320), "641x481": (641, 481),
            " 64x48 ": (64, 48), "16384x1": (16384, 1),
        }),
        (RATE, {"30": 30, "29.97": 29.97, "0.2": 0.2, "1000": 1000, "1e2": 100}),
        (RATE, {"0.0004": 0.0004, "0.0000116": 1.16e-5, "1e-6": 1e-6}),
        (COUNT, {"1": 1, "007": 7, "999999999999999": 10**15 - 1}),
        (SMALL, {"0": 0, "9": 9}),
        (PIXELS, {"3072": 3072, "64x48": 3072, "20000x3000": 60_000_000}),
        (BODY_BYTES, {"1": 1, "500kB": 500_000, "4MB": 4_000_000}),
        (SWITCH, dict.fromkeys(["1", "true", "yes", "on", "ON", " True "], True)),
        (SWITCH, dict.fromkeys(["0", "false", "no", "off", "OFF", "", " "], False)),
        (NAME, {text: text for text in ("cam", "c1", "Cam_2-b", "-", "a" * 64)}),
        (FILE, {"a b": "a b"}),
        (COLOUR, {"red": Colour.RED, "blue": Colour.BLUE}),
    ],
)  # fmt: skip
def test_texts_are_read_and_values_are_written_so_that_they_can_be_read(
    notation: Notation[Any], values: dict[str, object]
) -> None:
    for text, value in values.items():
        assert notation.read(text) == notation.check(text) == notation.check(value) == value
        assert notation.read(notation.write(value)) == pytest.approx(value)


@pytest.mark.parametrize(
    ("notation", "texts"),
    [
        (DURATION, ["", "s", "1d", "-1", "-1ms", "+1s", "1 s", "1e3", "1.", "1,5s", "1s1s", "0", ".0h"]),
        (DURATION, ["inf", "nan", "0x10", "one", "1000.1h", "1001h", "9" * 400, HUGE + "h"]),
        (ZERO_TO_HOUR, ["-1", "3601s", "1.1h"]),
        (SIZE, ["", "1280", "1280x", "x720", "1280X720", "1280*720", "1280x720x3", "-1x5", "0x5", "5x0"]),
        (SIZE, ["1280.0x720", "1280 x 720", "7681x4320", "16385x1", "1x16385", HUGE]),
        (RATE, ["", "0", "0.0", "-0", "-1", "1000.1", "inf", "-inf", "nan", "thirty", "30fps"]),
        (RATE, ["1/2", "1e-7", "1e-300", "1e-400", "9" * 400]),
        (COUNT, ["", "0", "000", "-1", "+1", "1.0", "1e3", " 1", "1_0", "x", "٣", "²", "1" * 16, HUGE]),
        (SMALL, ["10", "-1"]),
        (PIXELS, ["0", "-1", "", "x", "1e3", "16385x16384", "999999999", "0x5"]),
        (BODY_BYTES, ["0", "-1", "", "kB", "4 GB", "17MB", "1.5MB", str(MAX_BODY_BYTES + 1)]),
        (SWITCH, ["2", "y", "wahr", "truee", "-1", "1.0", "None"]),
        (NAME, ["", " ", "a" * 65, "a b", "a.b", "a/b", "a\n", "\ta", "é", "a*", "a#", "a\0"]),
        (FILE, ["", "a\0"]),
        (COLOUR, ["", "RED", "green", "red "]),
    ],
)
def test_other_texts_are_refused_with_the_rule(notation: Notation[Any], texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(ValueError, match=f"^{re.escape(notation.rule)}$"):
            notation.read(text)


@pytest.mark.parametrize("notation", [DURATION, ZERO_TO_HOUR])
@pytest.mark.parametrize("text", ["500", "3", "0.5", ".5", "0033", "3601"])
def test_a_duration_without_a_unit_is_refused_with_both_meanings(
    notation: Notation[float], text: str
) -> None:
    with pytest.raises(ValueError, match=rf"^a duration with its unit: {text}ms or {text}s\?$"):
        notation.check(text)
    for meaning in (f"{text}ms", f"{text}s"):
        if meaning != "3601s":
            assert DURATION.read(meaning)


@pytest.mark.parametrize(
    ("notation", "values"),
    [
        (DURATION, [0, 0.0, -1, float("nan"), float("inf"), 3_600_001, (1,), b"1s", True, 10**400, 1j]),
        (ZERO_TO_HOUR, [-0.1, 3600.1]),
        (SIZE, [(0, 0), (-1, 5), (640,), (1, 2, 3), (100_000, 100_000), (640.0, 480.0), 640, ("a", "b")]),
        (
            SIZE,
            [
                (True, True),
                {640, 480},
                {640: 1, 480: 1},
                np.array([64.0, 48.0]),
                np.zeros(3, int),
                b"64x48",
            ],
        ),
        (
            RATE,
            [0, 1e-300, 1000.5, float("nan"), [30], True, np.array([1, 2]), 10**400, Decimal(1), "", None],
        ),
        (COUNT, [0, 1.5, 10**15, True, np.bool_(True), np.float64(1), None]),
        (SWITCH, [None, 2, [], object(), float("nan"), np.array([1, 0])]),
        (PIXELS, [0, MAX_SIDE**2 + 1, 1.5]),
        (BODY_BYTES, [0, MAX_BODY_BYTES + 1]),
        (NAME, [5, b"cam", None, True]),
        (FILE, [5, b"x", None, Path("a\0")]),
        (COLOUR, [1]),
    ],
)
def test_values_of_programs_are_held_to_the_same_rule(
    notation: Notation[Any], values: list[object]
) -> None:
    for value in values:
        with pytest.raises(ValueError, match=f"^{re.escape(notation.rule)}$"):
            notation.check(value)


@pytest.mark.parametrize(
    ("notation", "value", "checked_value"),
    [
        (DURATION, np.float32(0.5), 0.5),
        (DURATION, Fraction(1, 2), 0.5),
        (RATE, np.int64(30), 30.0),
        (COUNT, np.uint8(3), 3),
        (SIZE, [64, 48], (64, 48)),
        (SIZE, np.array([64, 48]), (64, 48)),
        (SIZE, (np.int64(64), np.int16(48)), (64, 48)),
        (SWITCH, np.bool_(True), True),
        (SWITCH, 0, False),
        (FILE, Path("/a/b"), "/a/b"),
        (NAME, np.str_("cam"), "cam"),
    ],
)
def test_values_of_other_types_become_those_of_the_setting(
    notation: Notation[Any], value: object, checked_value: object
) -> None:
    found = notation.check(value)
    assert found == checked_value
    assert type(found) is type(checked_value)
    if isinstance(found, tuple):
        assert {type(each) for each in found} == {int}


def test_an_argument_is_named() -> None:
    assert checked("size", "64x48", SIZE.check) == (64, 48)
    with pytest.raises(ConfigError, match=r"^size \(0, 0\) cannot be used: allowed is WIDTHxHEIGHT"):
        checked("size", (0, 0), SIZE.check)


def test_rules_say_what_is_allowed() -> None:
    assert DURATION.rule == "a duration such as 500ms, 20s or 1.5m, above 0 and up to 1000h"
    assert ZERO_TO_HOUR.rule == "a duration such as 500ms, 20s or 1.5m, from 0 and up to 1h"
    assert COLOUR.rule == "red, blue"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.5, "500ms"), (0.15, "150ms"), (1, "1s"), (90, "1.5m"), (3600, "1h")],
)
def test_a_duration_is_written_in_its_largest_unit(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_a_slow_rate_is_not_written_as_zero() -> None:
    rates = [30, 0.95, 0.94, 0.2, 1 / 60, 1 / 86400, 0]
    texts = ["30.0", "0.9", "0.94", "0.2", "0.017", "1.2e-05", "0.0"]
    assert [rate_text(fps) for fps in rates] == [f"{text} fps" for text in texts]


def test_every_duration_that_is_allowed_can_be_waited_for() -> None:
    longest_s = DURATION.read("1000h")
    assert longest_s < threading.TIMEOUT_MAX
    assert longest_s * 1000 < 2**32, "x-message-ttl is milliseconds in 32 bits"


def test_checked_names_the_setting() -> None:
    assert checked("--fps", "30", RATE.read) == 30.0
    with pytest.raises(ConfigError) as caught:
        checked("--frames", "0", COUNT.read)
    assert str(caught.value) == "--frames '0' cannot be used: allowed is a whole number from 1"
    assert caught.value.__suppress_context__


@given(st.text(max_size=30) | st.from_regex(r"[0-9.x\-+]{1,12}(ms|s|m|h)?", fullmatch=True))
def test_any_text_is_read_or_refused_with_the_rule(text: str) -> None:
    for notation in ALL:
        try:
            notation.read(text)
        except AmbiguousText as error:
            assert re.fullmatch(r"a duration with its unit: [0-9.]+ms or [0-9.]+s\?", str(error))  # noqa: PT017
        except ValueError as error:
            assert str(error) == notation.rule  # noqa: PT017
