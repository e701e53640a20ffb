"""What a program says about one frame: a small JSON object that travels with it. Pure.

On the wire and in `FrameHeader.meta` it is JSON text; `docs/wire.md` has its limits.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn, TypeAlias

from fanlight.common.model.errors import ConfigError, WireFormatError

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
"""What JSON can hold. A sequence is a list or a tuple, and arrives as a list."""

MAX_META_BYTES: Final = 2048
"""Of the text, without spaces, in UTF-8."""
MAX_META_DEPTH: Final = 8
"""Objects and arrays in one another, the whole among them."""
_MAX_INT: Final = 2**63 - 1

_OBJECT: Final = "an object with names as its keys"
_SIZE: Final = f"up to {MAX_META_BYTES} bytes of JSON"
_TYPES: Final = "None, bool, int, float, str, list, dict (of NumPy: number.item(), array.tolist())"

# Where none of these is, every number is in range, and all text is valid: it need not be looked at piece by
# piece, which takes longer than to parse it.
_UNUSUAL: Final = re.compile(r"[^ -~]|\\u|[0-9]{19}|[0-9][eE]")

_Error: TypeAlias = type[ConfigError] | type[WireFormatError]


def to_text(meta: Mapping[str, JSON]) -> str:
    """The text of what a program has passed; empty for an empty object.

    Raises:
        ConfigError: no mapping, a value of another type or out of range, too large, or too deep.
    """
    if not isinstance(meta, Mapping):
        raise ConfigError("meta", meta, f"allowed is {_OBJECT}, such as {{'gps': [48.1, 11.6]}}")
    return _written(meta, ConfigError)


def checked_text(text: object) -> str:
    """An untrusted text, in the form of `to_text` but for spaces. Raises WireFormatError."""
    if not isinstance(text, str):
        raise WireFormatError("meta", text, "JSON text")
    if len(text) > MAX_META_BYTES:  # before it is parsed
        raise WireFormatError("meta", text, _SIZE)
    value = _parsed(text)
    if _UNUSUAL.search(text) or text.count("{") + text.count("[") > MAX_META_DEPTH:
        return _written(value, WireFormatError)
    return text if value else ""


def checked_member(text: bytes) -> str:
    """Likewise the member `meta` of an untrusted JSON object. Raises WireFormatError."""
    value = _parsed(text).get("meta")
    if not isinstance(value, dict):
        raise WireFormatError("meta", value, "a JSON object")
    return _written(value, WireFormatError)


def from_text(text: str) -> dict[str, Any]:
    """The object of a text that was checked."""
    return json.loads(text) if text else {}


def plain(value: Any, where: str, depth: int, error: _Error) -> Any:
    """A value that JSON can hold, in Python's own types.

    Args:
        where: its path, for the error.
        depth: levels of lists and dicts that it may have.
        error: the class of the error.

    Raises:
        ConfigError, WireFormatError: another type, out of range, or too deep.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _unicode(value, where, error)
    if isinstance(value, int):
        if not -_MAX_INT - 1 <= value <= _MAX_INT:
            raise _refused(value, where, "a whole number of 64 bits", error)
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _refused(value, where, "a finite number", error)
        return float(value)
    if not isinstance(value, (list, tuple, Mapping)):  # an abstract class takes long to ask
        raise _refused(value, where, _TYPES, error)
    if not depth:
        raise _refused(value, where, f"up to {MAX_META_DEPTH} levels", error)
    if isinstance(value, (list, tuple)):
        return [plain(each, f"{where}[{at}]", depth - 1, error) for at, each in enumerate(value)]
    table = {}
    for key, each in value.items():
        if not isinstance(key, str):
            raise _refused(key, f"a key of {where}", "text", error)
        name = _unicode(key, f"a key of {where}", error)
        table[name] = plain(each, f"{where}[{key!r}]", depth - 1, error)
    return table


def _parsed(text: str | bytes) -> dict[str, Any]:
    try:
        value = _DECODER.decode(text if isinstance(text, str) else text.decode())
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise WireFormatError("meta", text, "a JSON object, each key once")
    return value


def _written(meta: Mapping[str, Any], error: _Error) -> str:
    if not meta:
        return ""
    text = _ENCODER.encode(plain(meta, "meta", MAX_META_DEPTH, error))
    if len(text.encode()) > MAX_META_BYTES:
        raise _refused(text, "meta", _SIZE, error)
    return text


def _unicode(text: str, where: str, error: _Error) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            raise _refused(text, where, "text that UTF-8 can hold", error) from None
    return str(text)


def _refused(value: object, where: str, allowed: str, error: _Error) -> ConfigError | WireFormatError:
    return error(where, value, f"allowed is {allowed}" if error is ConfigError else allowed)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError
    return table


def _no_number(text: str) -> NoReturn:
    """Of NaN and Infinity, which JSON does not have."""
    raise ValueError(text)


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_each_once, parse_constant=_no_number)
