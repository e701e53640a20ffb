"""TLS to the broker, version 1.2 or newer, always with verification; explanations of TLS errors."""

from __future__ import annotations

import logging
import ssl
from typing import Final

from pika import SSLOptions

from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.errors import ConfigError
from fanlight.common.transport.certificates import check_readable, load_own

_LOG = logging.getLogger(__name__)

# The first byte of a TLS record that is an alert, and the first one of any version (RFC 8446, section 5.1).
_ALERT: Final = b"\x15\x03"

# Text in OpenSSL's error -> explanation and remedy. The first match applies.
_OURS: Final = "look at --cert and --key, and at what the broker trusts (ssl_options.cacertfile)"
_TOO_OLD: Final = "the broker offers no TLS 1.2 or newer: enable it there (ssl_options.versions)"
_UNTRUSTED: Final = "nobody we trust has signed the broker's certificate: --ca FILE with its CA"
_MEANINGS: Final = (
    ("CERTIFICATE_REQUIRED", "the broker asks for a client certificate: --cert FILE and --key FILE"),
    ("CERTIFICATE_EXPIRED", f"the broker refused our client certificate, which has expired: {_OURS}"),
    ("ALERT_UNKNOWN_CA", f"the broker refused our client certificate, whose CA it does not know: {_OURS}"),
    ("ALERT_BAD_CERTIFICATE", f"the broker refused our client certificate: {_OURS}"),
    ("ALERT_CERTIFICATE_REVOKED", f"the broker refused our client certificate, which is revoked: {_OURS}"),
    (
        "UNSUPPORTED_CERTIFICATE",
        f"the broker refused our client certificate as one of another kind: {_OURS}",
    ),
    ("ALERT_CERTIFICATE_UNKNOWN", f"the broker refused our client certificate: {_OURS}"),
    ("PROTOCOL_VERSION", _TOO_OLD),
    ("UNSUPPORTED_PROTOCOL", _TOO_OLD),
    (
        "ALERT_HANDSHAKE_FAILURE",
        "the broker refused the TLS handshake: it may ask for a client certificate (--cert FILE and --key "
        "FILE), or have no cipher in common with us",
    ),
    (
        "WRONG_VERSION_NUMBER",
        "what answers there does not speak TLS: write amqp://, or use the broker's TLS port (usually 5671)",
    ),
    (
        "certificate has expired",
        "the broker's certificate, or its CA's, has expired: renew it (and look at this machine's clock)",
    ),
    (
        "certificate is not yet valid",
        "the broker's certificate is not valid yet: look at this machine's clock",
    ),
    ("self-signed certificate", _UNTRUSTED),
    ("unable to get", _UNTRUSTED),
)
_FOR_ANOTHER: Final = ("Hostname mismatch", "IP address mismatch")


class Tls:
    """Makes the TLS half of a connection's parameters.

    The files are read at once, and again for every attempt to connect: certificates are renewed meanwhile.

    Raises:
        ConfigError: one of the files cannot be used.
    """

    def __init__(self, address: BrokerAddress) -> None:
        self._address = address
        self._context = _context(address)

    def options(self, host: str) -> SSLOptions:
        """For one attempt to connect to a host, whose name its certificate has to bear."""
        try:
            self._context = _context(self._address)
        except ConfigError as error:
            _LOG.warning("%s; what was read before is used", error)
        return SSLOptions(self._context, host)


def speaks_tls(unread: bytes) -> bool:
    """Whether the bytes received instead of AMQP's greeting are TLS."""
    return unread.startswith(_ALERT)


def meaning(text: str) -> str | None:
    """Explanation and remedy for the text of a TLS error; None for any other error."""
    if "SSL" not in text:
        return None
    if any(sign in text for sign in _FOR_ANOTHER):
        named = text.partition("certificate is not valid for ")[2].partition(". (")[0]
        return (
            f"the broker's certificate is for another name than {named or 'this one'}: connect by one that "
            "is in it (subjectAltName), or have one made for this name"
        )
    found = next((what for sign, what in _MEANINGS if sign in text), None)
    if found is None and "CERTIFICATE_VERIFY_FAILED" in text:
        reason = text.rpartition("verify failed: ")[2].partition(" (_ssl")[0]
        return f"the broker's certificate is refused: {reason}"
    return found


def _context(address: BrokerAddress) -> ssl.SSLContext:
    check_readable("--ca", address.ca)
    try:
        # Checks the chain and the name.
        context = ssl.create_default_context(cafile=address.ca)
    except ssl.SSLError:
        raise ConfigError("--ca", address.ca or "", "it holds no certificate in PEM form") from None
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    if address.cert is not None:
        load_own(context, address.cert, address.key)
    return context
