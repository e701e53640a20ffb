"""Loads certificates and keys from files, for both ends of TLS. Errors name the option."""

from __future__ import annotations

import ssl

from fanlight.common.model.errors import ConfigError, FanlightError
from fanlight.common.model.reasons import reason


def load_own(
    context: ssl.SSLContext, cert: str, key: str | None, *, flags: tuple[str, str] = ("--cert", "--key")
) -> None:
    """Load one's own certificate and its key, which may be in the same file.

    Args:
        flags: the options that named the two files.

    Raises:
        ConfigError: one of the files cannot be used.
    """
    cert_flag, key_flag = flags
    check_readable(cert_flag, cert)
    check_readable(key_flag, key)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=cert)
    except ssl.SSLError:
        raise ConfigError(cert_flag, cert, "it holds no certificate in PEM form") from None
    try:
        # Without the function OpenSSL asks at the terminal for the passphrase.
        context.load_cert_chain(cert, key, password=_no_passphrase)
    except _Encrypted:
        raise ConfigError(
            key_flag, key or cert, "it is encrypted: allowed is one without a passphrase"
        ) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(key_flag, key or cert, f"it is not the key of {cert_flag} {cert}") from None
        raise ConfigError(key_flag, key or cert, "it holds no key in PEM form") from None


def check_readable(flag: str, file: str | None) -> None:
    """Raises ConfigError: the file is given and cannot be read."""
    if file is None:
        return
    try:
        with open(file, "rb") as opened:
            opened.read(1)
    except OSError as error:
        raise ConfigError(flag, file, f"it cannot be read: {reason(error)}") from None


class _Encrypted(FanlightError):
    pass


def _no_passphrase() -> str:
    raise _Encrypted
