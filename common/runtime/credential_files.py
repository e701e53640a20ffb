"""Reads credentials from files and the environment into `Access`."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fanlight.common.model.credentials import SHORTEST_TOKEN, Access
from fanlight.common.model.errors import ConfigError
from fanlight.common.runtime.settings import Option, resolve

_LOG = logging.getLogger(__name__)


def _file(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("the name of a file")
    return text


OPTIONS: Final = (
    Option(
        "password-file",
        _file,
        None,
        "a file with the broker's password, for a --url without one; or else FANLIGHT_PASSWORD",
        "FILE",
    ),
    Option("ca", _file, None, "of amqps://: who may have signed the broker's certificate (PEM)", "FILE"),
    Option("cert", _file, None, "of amqps://: a certificate of our own (PEM)", "FILE"),
    Option("key", _file, None, "of amqps://: the key of --cert, if it is not in the same file", "FILE"),
    Option(
        "token-file",
        _file,
        None,
        f"of tcp+...://: a file with the token that producer and consumers share, {SHORTEST_TOKEN} "
        "characters or more; or else FANLIGHT_TOKEN",
        "FILE",
    ),
    Option("password", str, None, "", secret=True),
    Option("token", str, None, "", secret=True),
)
"""Of both command lines, after their own."""
_KEYS: Final = frozenset(option.key for option in OPTIONS)
_MOST_BYTES: Final = 4096


def with_access(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a command with their `access` in place of the options it is made of.

    A file comes before the variable that holds the secret itself.

    Raises:
        ConfigError: a file that cannot be read or holds nothing, a secret that cannot be used.
    """
    kept = {key: value for key, value in values.items() if key not in _KEYS}
    return kept | {"access": _access(values)}


def access_of(
    *,
    password: str | None = None,
    ca: str | None = None,
    cert: str | None = None,
    key: str | None = None,
    token: str | None = None,
) -> Access:
    """What a program hands in; for what it leaves out, the environment. Raises ConfigError as above."""
    given = {"password": password, "ca": ca, "cert": cert, "key": key, "token": token}
    values = resolve(OPTIONS, given, os.environ)
    # What the program says itself comes before a file of the environment.
    values |= {f"{name}_file": None for name in ("password", "token") if given[name] is not None}
    return _access(values)


def _access(values: Mapping[str, Any]) -> Access:
    if values["key"] is not None:
        _warn_if_others_read("--key", Path(values["key"]))
    return Access(
        password=_secret(values, "password"),
        ca=values["ca"],
        cert=values["cert"],
        key=values["key"],
        token=_secret(values, "token"),
    )


def _secret(values: Mapping[str, Any], name: str) -> str | None:
    file: str | None = values[f"{name}_file"]
    if file is None:
        text: str | None = values[name]
        if text == "":
            raise ConfigError(f"FANLIGHT_{name.upper()}", "", f"it is empty: say a {name}, or leave it out")
        return text
    return _read(f"--{name}-file", Path(file))


def _read(flag: str, path: Path) -> str:
    try:
        with path.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise ConfigError(flag, str(path), f"it cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        # Without its cause: that one's text has the bytes in it.
        raise ConfigError(flag, str(path), "what is in it is not text (UTF-8)") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or len(data) > _MOST_BYTES or not text.isprintable():
        raise ConfigError(flag, str(path), f"it is to hold one line, up to {_MOST_BYTES} bytes")
    _warn_if_others_read(flag, path)
    return text


def _warn_if_others_read(flag: str, path: Path) -> None:
    try:
        found = path.stat()
    except OSError:
        return  # whoever needs it says so
    if stat.S_ISREG(found.st_mode) and found.st_mode & (stat.S_IRGRP | stat.S_IROTH):
        _LOG.warning("%s %s can be read by other users: chmod 600 %s", flag, path, path)
