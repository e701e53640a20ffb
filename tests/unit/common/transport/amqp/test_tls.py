from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.errors import ConfigError
from fanlight.common.transport.amqp import tls
from fanlight.common.transport.amqp.tls import Tls
from scripts.lib.certs import Authority


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, what it has signed, and files that are none."""
    folder = tmp_path_factory.mktemp("certs")
    authority = Authority(folder)
    authority.client("ann")
    authority.client("bob")
    (folder / "empty.pem").touch()
    (folder / "text.pem").write_text("no certificate\n")
    both = [(folder / f"client-ann{part}.pem").read_text() for part in ("", "-key")]
    (folder / "both.pem").write_text("".join(both))
    key = serialization.load_pem_private_key((folder / "client-ann-key.pem").read_bytes(), None)
    pem, picture_format = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked = key.private_bytes(pem, picture_format, serialization.BestAvailableEncryption(b"x"))
    (folder / "locked.pem").write_bytes(locked)
    return folder


@pytest.fixture
def address(folder: Path) -> Callable[..., BrokerAddress]:
    def made(**files: Any) -> BrokerAddress:
        paths: dict[str, Any] = {name: str(folder / file) for name, file in files.items()}
        return replace(BrokerAddress((("localhost", 5671),), "u", "v", tls=True), **paths)

    return made


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"ca": "ca.pem"},
        {"cert": "client-ann.pem", "key": "client-ann-key.pem"},
        {"ca": "ca.pem", "cert": "both.pem"},
    ],
)
def test_chain_and_name_are_always_checked(
    address: Callable[..., BrokerAddress], files: dict[str, str]
) -> None:
    options = Tls(address(**files)).options("broker.example")
    assert options.server_hostname == "broker.example"
    assert options.context.check_hostname
    assert options.context.verify_mode is ssl.CERT_REQUIRED
    assert options.context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_an_own_ca_takes_the_place_of_the_systems(address: Callable[..., BrokerAddress]) -> None:
    trusted = Tls(address(ca="ca.pem")).options("h").context.get_ca_certs()
    assert [one["subject"] for one in trusted] == [((("commonName", "Fanlight development CA"),),)]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"ca": "none.pem"}, "--ca '{}/none.pem' cannot be used: it cannot be read: No such file"),
        ({"ca": "empty.pem"}, "--ca '{}/empty.pem' cannot be used: it holds no certificate"),
        ({"ca": "text.pem"}, "--ca '{}/text.pem' cannot be used: it holds no certificate"),
        ({"ca": ""}, "--ca '{}' cannot be used: it cannot be read: Is a directory"),
        ({"cert": "none.pem"}, "--cert '{}/none.pem' cannot be used: it cannot be read: No such file"),
        ({"cert": "text.pem"}, "--cert '{}/text.pem' cannot be used: it holds no certificate"),
        (
            {"cert": "client-ann.pem", "key": "none.pem"},
            "--key '{}/none.pem' cannot be used: it cannot be read: No such file",
        ),
        (
            {"cert": "client-ann.pem", "key": "text.pem"},
            "--key '{}/text.pem' cannot be used: it holds no key",
        ),
        ({"cert": "client-ann.pem"}, "--key '{}/client-ann.pem' cannot be used: it holds no key"),
        (
            {"cert": "client-ann.pem", "key": "client-bob-key.pem"},
            "--key '{}/client-bob-key.pem' cannot be used: it is not the key of --cert {}/client-ann.pem",
        ),
        (
            {"cert": "client-ann.pem", "key": "locked.pem"},
            "--key '{}/locked.pem' cannot be used: it is encrypted",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_at_once(
    address: Callable[..., BrokerAddress], folder: Path, files: dict[str, str], why: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Tls(address(**files))
    assert str(caught.value).startswith(why.replace("{}", str(folder)))
    assert "\n" not in str(caught.value)


def test_a_renewed_file_is_read_for_the_next_attempt(
    address: Callable[..., BrokerAddress], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    live = folder / "live.pem"
    live.write_bytes((folder / "ca.pem").read_bytes())
    made = Tls(address(ca="live.pem"))
    other = Authority(folder / "other")
    live.write_bytes(other.pair.cert.read_bytes())
    (renewed,) = made.options("h").context.get_ca_certs()
    assert int(str(renewed["serialNumber"]), 16) == other.serial
    assert not caplog.records
    os.truncate(live, 0)
    (kept,) = made.options("h").context.get_ca_certs()
    assert kept == renewed
    assert "it holds no certificate in PEM form; what was read before is used" in caplog.text


VERIFY = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
LOST = "StreamLostError: (\"Stream connection lost: SSLError(1, '[SSL: {}] x (_ssl.c:2580)')\",)"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (
            f"{VERIFY}Hostname mismatch, certificate is not valid for 'a.example'. (_ssl.c:1006)",
            "for another name than 'a.example': connect by one that is",
        ),
        (
            f"{VERIFY}IP address mismatch, certificate is not valid for '127.0.0.2'. (_ssl.c:1006)",
            "for another name than '127.0.0.2': connect",
        ),
        (f"{VERIFY}certificate has expired (_ssl.c:1006)", "has expired: renew it"),
        (f"{VERIFY}certificate is not yet valid (_ssl.c:1)", "not valid yet: look at this machine's clock"),
        (f"{VERIFY}self-signed certificate (_ssl.c:1006)", "nobody we trust has signed"),
        (f"{VERIFY}unable to get local issuer certificate (_ssl.c:1006)", "nobody we trust has signed"),
        (f"{VERIFY}EE certificate key too weak (_ssl.c:1)", "is refused: EE certificate key too weak"),
        (LOST.format("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "asks for a client certificate: --cert FILE"),
        (LOST.format("TLSV1_ALERT_UNKNOWN_CA"), "whose CA it does not know"),
        (LOST.format("SSLV3_ALERT_CERTIFICATE_EXPIRED"), "our client certificate, which has expired"),
        (LOST.format("SSLV3_ALERT_BAD_CERTIFICATE"), "refused our client certificate: look at --cert"),
        ("[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] x", "may ask for a client certificate"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "does not speak TLS: write amqp://"),
        ("[SSL: TLSV1_ALERT_PROTOCOL_VERSION] x", "offers no TLS 1.2 or newer"),
        ("[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol", "offers no TLS 1.2 or newer"),
    ],
)
def test_an_error_of_openssl_is_explained_with_what_to_do(text: str, meaning: str) -> None:
    found = tls.meaning(text)
    assert found is not None
    assert meaning in found
    assert "_ssl.c" not in found


@pytest.mark.parametrize("text", ["", "Connection refused", "certificate has expired", "[SSL: UNKNOWN] x"])
def test_no_meaning_is_made_up(text: str) -> None:
    assert tls.meaning(text) is None


def test_a_tls_alert_is_known_by_its_first_bytes() -> None:
    assert tls.speaks_tls(b"\x15\x03\x01\x00\x02\x02\x0a")
    assert not tls.speaks_tls(b"AMQP\0\0\x09\x01")
    assert not tls.speaks_tls(b"")
