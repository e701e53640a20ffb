"""Makes certificates for development and for tests: a CA, and what it signs. Needs `cryptography`."""

from __future__ import annotations

import contextlib
import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fanlight.common.model.errors import FanlightError

# Clocks differ: what is signed now is to be valid on a machine that is a little behind.
_BACKDATED: Final = timedelta(hours=1)


class CertsError(FanlightError):
    """A certificate cannot be made."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a certificate and of its key."""

    cert: Path
    key: Path

    @property
    def there(self) -> bool:
        return self.cert.exists() and self.key.exists()


class Authority:
    """A certificate authority that lives in one folder: `ca.pem`, `ca-key.pem`.

    Raises:
        CertsError: what is there cannot be read.
    """

    def __init__(self, folder: Path, *, days: float = 365) -> None:
        self.folder = folder
        self._days = days
        self.pair = Pair(folder / "ca.pem", folder / "ca-key.pem")
        folder.mkdir(parents=True, exist_ok=True)
        self.made = not self.pair.there
        if self.made:
            self._make()
        try:
            self._cert = x509.load_pem_x509_certificate(self.pair.cert.read_bytes())
            key = serialization.load_pem_private_key(self.pair.key.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise CertsError(f"{self.pair.cert}: cannot be used as a CA: {error}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise CertsError(f"{self.pair.key}: not a key that this script made")
        if self.ends < datetime.now(UTC):
            raise CertsError(f"{self.pair.cert}: it has expired: remove {folder}, and make it anew")
        self._key = key

    @property
    def serial(self) -> int:
        """The number of the CA's own certificate."""
        return self._cert.serial_number

    @property
    def ends(self) -> datetime:
        """When the CA's own certificate ends."""
        return self._cert.not_valid_after_utc

    def server(self, names: tuple[str, ...], stem: str = "server", *, days: float | None = None) -> Pair:
        """For whoever answers under these host names and addresses."""
        return self._sign(stem, stem, ExtendedKeyUsageOID.SERVER_AUTH, names, days)

    def client(self, user: str, *, days: float | None = None) -> Pair:
        """For a client; `user` is its common name, which RabbitMQ can take for the login."""
        return self._sign(f"client-{user}", user, ExtendedKeyUsageOID.CLIENT_AUTH, (), days)

    def _make(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Fanlight development CA")
        builder = _builder(name, name, key, datetime.now(UTC) + timedelta(days=self._days))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs=True), critical=True)
        _write(self.pair, builder.sign(key, hashes.SHA256()), key)

    def _sign(
        self, stem: str, common_name: str, purpose: x509.ObjectIdentifier, names: tuple[str, ...],
        days: float | None,
    ) -> Pair:  # fmt: skip
        key = ec.generate_private_key(ec.SECP256R1())
        end = datetime.now(UTC) + timedelta(days=self._days if days is None else days)
        builder = _builder(_name(common_name), self._cert.subject, key, min(end, self.ends))
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        if names:
            listed = x509.SubjectAlternativeName([_general(name) for name in names])
            builder = builder.add_extension(listed, critical=False)
        pair = Pair(self.folder / f"{stem}.pem", self.folder / f"{stem}-key.pem")
        _write(pair, builder.sign(self._key, hashes.SHA256()), key)
        return pair


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, end: datetime
) -> x509.CertificateBuilder:
    # One that has ended already, as tests want it, has begun before that.
    begin = min(datetime.now(UTC), end) - _BACKDATED
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(begin).not_valid_after(end)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return builder.add_extension(identifier, critical=False)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general(name: str) -> x509.GeneralName:
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    try:
        return x509.DNSName(name)
    except ValueError as error:
        raise CertsError(f"{name!r} cannot be in a certificate: {error}") from None


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _write(pair: Pair, cert: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """The key first, for its owner alone from the beginning; each file appears whole or not at all."""
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _replace(pair.key, text, 0o600)
    _replace(pair.cert, cert.public_bytes(serialization.Encoding.PEM), 0o644)


def _replace(path: Path, data: bytes, mode: int) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    beside.replace(path)
