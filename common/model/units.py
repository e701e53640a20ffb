"""Reads the values that people write: durations, sizes, rates.

Each reader takes the text and returns the value, or raises ValueError with what is allowed; the caller
adds the name of the setting.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TypeVar

from fanlight.common.model.errors import ConfigError
from fanlight.common.model.frame import (
    MAX_BODY_BYTES,
    MAX_FPS,
    MAX_PIXELS,
    MAX_SIDE,
    STREAM_NAME,
    STREAM_NAME_RULE,
)

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_MAX_DURATION_H = 1000  # in ms it fits the 32 bits of RabbitMQ's x-message-ttl, in s any timeout
_BYTES = re.compile(r"([0-9]{1,9})(kB|MB)?")
_BYTES_IN = {"": 1, "kB": 1000, "MB": 1_000_000}
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")


def duration_s(text: str) -> float:
    """`500ms`, `20s`, `1.5m`, `2h`, or plain seconds, as seconds."""
    match = _DURATION.fullmatch(text.strip())
    seconds = float(match[1]) * _SECONDS[match[2] or "s"] if match is not None else math.inf
    if seconds > _MAX_DURATION_H * 3600:
        raise ValueError(f"a duration such as 500ms, 20s, 1.5m or 2h, up to {_MAX_DURATION_H}h")
    return seconds


def positive_duration_s(text: str) -> float:
    """Like `duration_s`, above zero."""
    seconds = duration_s(text)
    if not seconds > 0:
        raise ValueError("a duration above 0, such as 500ms or 20s")
    return seconds


def size_px(text: str) -> tuple[int, int]:
    """`1280x720` as (width, height) in pixels."""
    match = _SIZE.fullmatch(text.strip())
    if match is not None:
        width, height = int(match[1]), int(match[2])
        if 1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and width * height <= MAX_PIXELS:
            return width, height
    raise ValueError(f"WIDTHxHEIGHT such as 1280x720, up to {MAX_PIXELS} pixels")


def rate_fps(text: str) -> float:
    """Frames per second, such as `30` or `29.97`."""
    try:
        fps = float(text)
    except ValueError:
        fps = math.nan
    if not 0 < fps <= MAX_FPS:
        raise ValueError(f"a number of frames per second above 0 and up to {MAX_FPS:g}")
    return fps


def count(text: str) -> int:
    """A whole number from 1."""
    if not (text.isascii() and text.isdigit() and len(text) <= 15) or int(text) < 1:
        raise ValueError("a whole number from 1")
    return int(text)


def pixels(text: str) -> int:
    """A number of pixels, or a size of so many: `2073600`, `1920x1080`."""
    try:
        if "x" in text:
            width, height = size_px(text)
            return width * height
        number = count(text)
    except ValueError:
        number = 0
    if not 1 <= number <= MAX_PIXELS:
        raise ValueError(f"a number of pixels or a size such as 1920x1080, up to {MAX_PIXELS} pixels")
    return number


def body_bytes(text: str) -> int:
    """`500kB`, `4MB`, or plain bytes; 1 kB is 1000 bytes."""
    match = _BYTES.fullmatch(text.strip())
    number = int(match[1]) * _BYTES_IN[match[2] or ""] if match is not None else 0
    if not 1 <= number <= MAX_BODY_BYTES:
        raise ValueError(f"a number of bytes such as 4000000, 500kB or 4MB, up to {MAX_BODY_BYTES}")
    return number


def flag(text: str) -> bool:
    """`1`, `true`, `yes`, `on` and their opposites, for switches in the environment."""
    known = {"1": True, "true": True, "yes": True, "on": True}
    known |= {"0": False, "false": False, "no": False, "off": False, "": False}
    try:
        return known[text.strip().lower()]
    except KeyError:
        raise ValueError("1 or 0 (also true/false, yes/no, on/off)") from None


def one_of(members: Iterable[E], joint: str = ", ") -> Callable[[str], E]:
    """A reader of names; its ValueError has the names there are, joined by `joint`."""
    known = {str(member): member for member in members}

    def read(text: str) -> E:
        if text not in known:
            raise ValueError(joint.join(known))
        return known[text]

    return read


def name(text: str) -> str:
    """The name of a stream or of a consumer."""
    if not STREAM_NAME.fullmatch(text):
        raise ValueError(STREAM_NAME_RULE)
    return text


def checked(setting: str, text: str, read: Callable[[str], T]) -> T:
    """Read a value that a program handed in, with the reader of the command line.

    Raises:
        ConfigError: named after the setting.
    """
    try:
        return read(text)
    except ValueError as error:
        raise ConfigError(setting, text, f"allowed is {error}") from None
