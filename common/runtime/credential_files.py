"""Reads `Credentials` from files and the environment."""

from __future__ import annotations

import logging
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Final

from fanlight.common.model.credentials import SHORTEST_TOKEN, Credentials
from fanlight.common.model.errors import ConfigError
from fanlight.common.model.reasons import reason
from fanlight.common.model.units import FILE, Notation
from fanlight.common.runtime.options import OptionGroup, option, options_of, without_line_end

_LOG = logging.getLogger(__name__)

_MOST_BYTES: Final = 4096
_SECRET: Final = Notation(
    "a text that is not empty; or leave it out",
    str,
    lambda value: isinstance(value, str) and len(value) > 0,
)


@dataclass(frozen=True, kw_only=True)
class CredentialFiles(OptionGroup):
    """The options for credentials. A file takes precedence over the variable with the secret itself."""

    title: ClassVar[str] = "credentials"

    password_file: str | None = option(
        None,
        FILE,
        "a file with the broker's password, for a --url without one; or else FANLIGHT_PASSWORD",
        "FILE",
        shown="none",
    )
    ca: str | None = option(
        None,
        FILE,
        "of amqps://: certificates (PEM) of those who may have signed the broker's",
        "FILE",
        shown="the system's",
    )
    cert: str | None = option(None, FILE, "of amqps://: our own certificate (PEM)", "FILE", shown="none")
    key: str | None = option(
        None, FILE, "of amqps://: the key of --cert, if it is in another file", "FILE", shown="none"
    )
    token_file: str | None = option(
        None,
        FILE,
        f"of tcp+...://: a file with the token that producer and consumers share, {SHORTEST_TOKEN} "
        "characters or more; or else FANLIGHT_TOKEN",
        "FILE",
        shown="none",
    )
    password: str | None = option(None, _SECRET, "", shown="none", secret=True)
    token: str | None = option(None, _SECRET, "", shown="none", secret=True)

    def read(self) -> Credentials:
        """Read the files.

        Raises:
            ConfigError: a file is unreadable or has not exactly one line, or a secret is invalid.
        """
        if self.key is not None:
            warn_if_readable_by_others("--key", Path(self.key))
        password = (
            self.password if self.password_file is None else one_line("--password-file", self.password_file)
        )
        token = self.token if self.token_file is None else one_line("--token-file", self.token_file)
        return Credentials(password=password, ca=self.ca, cert=self.cert, key=self.key, token=token)


def credentials_of(**given: str | None) -> Credentials:
    """The credentials that a program passes; missing ones are taken from the environment.

    Raises:
        ConfigError: as `CredentialFiles.read`.
    """
    own = {
        each.field: each.check(given[each.field])
        for each in options_of(CredentialFiles)
        if given.get(each.field) is not None
    }
    # An argument of the program takes precedence over a file named in the environment.
    files = {f"{name}_file": None for name in ("password", "token") if name in own}
    return replace(CredentialFiles.load(own, os.environ), **files).read()


def one_line(flag: str, file: str) -> str:
    """The one line of text in a file that holds a secret; warns if other users can read it.

    Raises:
        ConfigError: it is unreadable, or holds something else.
    """
    path = Path(file)
    try:
        with path.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
        text = data.decode()
    except OSError as error:
        raise ConfigError(flag, file, f"it cannot be read: {reason(error)}") from None
    except UnicodeDecodeError:
        # `from None`: the text of the UnicodeDecodeError contains the secret.
        raise ConfigError(flag, file, "what is in it is not text (UTF-8)") from None
    text = without_line_end(text)
    if not text or len(data) > _MOST_BYTES or not text.isprintable():
        raise ConfigError(flag, file, f"it is to hold one line, up to {_MOST_BYTES} bytes")
    warn_if_readable_by_others(flag, path)
    return text


def warn_if_readable_by_others(flag: str, path: Path) -> None:
    """Log a warning if other users can read a file that holds a secret."""
    try:
        found = path.stat()
    except OSError:
        return  # reported where it is needed
    if stat.S_ISREG(found.st_mode) and found.st_mode & (stat.S_IRGRP | stat.S_IROTH):
        _LOG.warning("%s %s can be read by other users: chmod 600 %s", flag, path, path)
