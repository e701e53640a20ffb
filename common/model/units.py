"""Syntax and allowed values of settings: durations, sizes, rates, names.

The same `Notation` checks a value from the command line, from the environment and from a program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from numbers import Real
from operator import index
from typing import Any, Final, Generic, TypeVar

from fanlight.common.model.errors import ConfigError
from fanlight.common.model.frame import (
    MAX_BODY_BYTES,
    MAX_FPS,
    MAX_PIXELS,
    MAX_SIDE,
    MIN_FPS,
)
from fanlight.common.model.wire_fields import STREAM_NAME, STREAM_NAME_RULE

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(ms|s|m|h)?")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_MAX_DURATION_S: Final = 1000 * 3600  # in ms it fits the 32 bits of RabbitMQ's x-message-ttl
_BYTES: Final = re.compile(r"([0-9]{1,9})(kB|MB)?")
_BYTES_IN: Final = {"": 1, "kB": 1000, "MB": 1_000_000}
_SIZE: Final = re.compile(r"(\d{1,5})x(\d{1,5})")
_SWITCH: Final = {"1": True, "true": True, "yes": True, "on": True} | {
    "0": False, "false": False, "no": False, "off": False, "": False,
}  # fmt: skip


def _same(value: Any) -> Any:
    return value


class AmbiguousText(ValueError):
    """The text has several meanings; the message names them, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Notation(Generic[T]):
    """Syntax and allowed values of a setting.

    Attributes:
        rule: the allowed values, as the end of a sentence.
        parse: converts a text to a value, or raises ValueError.
        allows: whether a value is allowed.
        write: converts a value to a text that `parse` accepts.
        convert: converts what a program passes (lists, numbers of numpy), or raises TypeError.
    """

    rule: str
    parse: Callable[[str], T]
    allows: Callable[[T], bool]
    write: Callable[[T], str] = str
    convert: Callable[[Any], T] = _same

    def read(self, text: str) -> T:
        """Parse and check a text. Raises ValueError with the rule, or `AmbiguousText`."""
        try:
            value = self.parse(text)
            allowed = self.allows(value)
        except AmbiguousText:
            raise
        except ValueError:
            allowed = False
        if not allowed:
            raise ValueError(self.rule)
        return value

    def check(self, value: Any) -> T:
        """Check a value that a program passes; a text is parsed. Raises ValueError with the rule."""
        if isinstance(value, str):
            return self.read(value)
        try:
            converted = self.convert(value)
            allowed = self.allows(converted)
        except (TypeError, ValueError, ArithmeticError):  # another type, or a sequence of another length
            allowed = False
        if not allowed:
            raise ValueError(self.rule)
        return converted


def checked(setting: str, value: Any, read: Callable[[Any], T]) -> T:
    """Parse or check a value with `read`. Raises ConfigError with the name of the setting."""
    try:
        return read(value)
    except ValueError as error:
        raise ConfigError(setting, value, f"allowed is {error}") from None


def duration(most_s: float = _MAX_DURATION_S, *, zero: bool = False) -> Notation[float]:
    """Seconds, written `500ms`, `20s`, `1.5m` or `2h`; only 0 needs no unit."""
    least = "from 0" if zero else "above 0"
    return Notation(
        f"a duration such as 500ms, 20s or 1.5m, {least} and up to {duration_text(most_s)}",
        _seconds,
        lambda value: 0 <= value <= most_s and (zero or value > 0),
        duration_text,
        number,
    )


def duration_text(seconds: float) -> str:
    """A duration in the largest unit of which it has at least one: `500ms`, `1.5m`."""
    unit = next((unit for unit in ("h", "m", "s") if seconds >= _SECONDS[unit]), "ms" if seconds else "s")
    return f"{seconds / _SECONDS[unit]:g}{unit}"


def rate_text(fps: float) -> str:
    """Frames per second, so that a slow stream does not read like a dead one: `29.9 fps`, `0.017 fps`."""
    return f"{fps:.2g} fps" if 0 < fps < 0.95 else f"{fps:.1f} fps"


def rough_duration(seconds: float) -> str:
    """A duration in one unit, for people: `5 s`, `3 hours`, `56 years`."""
    for unit, of_s in (("years", 31_557_600), ("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * of_s:
            return f"{seconds / of_s:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def count(least: int = 1, most: int = 10**15 - 1, rule: str = "a whole number from 1") -> Notation[int]:
    """A whole number."""
    return Notation(rule, _whole, lambda value: least <= value <= most, convert=whole_number)


def one_of(members: type[E]) -> Notation[E]:
    """The name of a member."""
    return Notation(", ".join(members), members, lambda value: isinstance(value, members))


def number(value: Any) -> float:
    """A real number of any type, such as numpy's; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError
    return float(value)


def whole_number(value: Any) -> int:
    """A whole number of any type, such as numpy's; True and False are none."""
    if isinstance(value, bool):
        raise TypeError
    return index(value)


def _truth(value: Any) -> bool:
    if value not in (True, False):
        raise ValueError
    return bool(value)


def _file_name(value: Any) -> str:
    if not hasattr(value, "__fspath__"):
        raise TypeError
    return str(value)


def _seconds(text: str) -> float:
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError
    number = float(match[1])
    if match[2] is None and 0 < number <= 1000 * _MAX_DURATION_S:
        # Half of all programs count in seconds, the others in milliseconds.
        raise AmbiguousText(f"a duration with its unit: {match[1]}ms or {match[1]}s?")
    return number * _SECONDS[match[2] or "s"]


def _size_px(text: str) -> tuple[int, int]:
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError
    return int(match[1]), int(match[2])


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, (Set, Mapping)):  # these can be unpacked too, in some order
        raise TypeError
    width, height = map(whole_number, value)
    return width, height


def _is_size(value: tuple[int, int]) -> bool:
    width, height = value
    return 1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and width * height <= MAX_PIXELS


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ValueError
    return int(text)


def _pixels(text: str) -> int:
    if "x" not in text:
        return _whole(text)
    width, height = _size_px(text)
    return width * height


def _bytes(text: str) -> int:
    match = _BYTES.fullmatch(text.strip())
    if match is None:
        raise ValueError
    return int(match[1]) * _BYTES_IN[match[2] or ""]


def _switch(text: str) -> bool:
    try:
        return _SWITCH[text.strip().lower()]
    except KeyError:
        raise ValueError from None


DURATION: Final = duration()
SIZE: Final = Notation(
    f"WIDTHxHEIGHT such as 1280x720, up to {MAX_PIXELS} pixels",
    _size_px,
    _is_size,
    lambda value: f"{value[0]}x{value[1]}",
    _pair,
)
"""(width, height) in pixels."""
RATE: Final = Notation(
    f"a number of frames per second from {MIN_FPS:f} (one in 11 days) to {MAX_FPS:g}",
    float,
    lambda value: MIN_FPS <= value <= MAX_FPS,
    "{:g}".format,
    number,
)
COUNT: Final = count()
PIXELS: Final = Notation(
    f"a number of pixels or a size such as 1920x1080, up to {MAX_SIDE}x{MAX_SIDE}",
    _pixels,
    lambda value: 1 <= value <= MAX_SIDE * MAX_SIDE,
    convert=whole_number,
)
BODY_BYTES: Final = Notation(
    f"a number of bytes such as 4000000, 500kB or 4MB, up to {MAX_BODY_BYTES}",
    _bytes,
    lambda value: 1 <= value <= MAX_BODY_BYTES,
    convert=whole_number,
)
SWITCH: Final = Notation(
    "1 or 0 (also true/false, yes/no, on/off)",
    _switch,
    lambda value: isinstance(value, bool),
    lambda value: "on" if value else "off",
    _truth,
)
NAME: Final = Notation(STREAM_NAME_RULE, str, lambda value: STREAM_NAME.fullmatch(value) is not None)
"""The name of a stream or a consumer."""
TEXT: Final = Notation("a text", str, lambda value: isinstance(value, str))
FILE: Final = Notation(
    "the name of a file", str, lambda value: bool(value) and "\0" not in value, convert=_file_name
)
