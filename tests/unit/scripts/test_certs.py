"""`scripts/certs` as a user types it; that RabbitMQ and Fanlight take what it makes: test_tls.py."""

from __future__ import annotations

import socket
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from scripts.lib.certs import Authority, CertsError
from tests.support.commands import run_script
from tests.support.timing import scaled


def certs(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_script("scripts/certs", "--out", str(folder), *arguments)


def names(file: Path) -> list[str]:
    cert = x509.load_pem_x509_certificate(file.read_bytes())
    return [
        str(name.value)
        for name in cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    ]


def test_it_makes_all_that_both_sides_need_and_says_how_to_use_it(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    first = certs(folder, "--client", "ann", "--client", "bob", "--days", "30")
    assert first.returncode == 0, first.stderr
    keys = {"ca-key.pem", "server-key.pem", "client-ann-key.pem", "client-bob-key.pem"}
    assert {file.name for file in folder.iterdir()} == keys | {name.replace("-key", "") for name in keys}
    for name in keys:
        assert (folder / name).stat().st_mode & 0o777 == 0o600, name
    assert names(folder / "server.pem") == ["localhost", "127.0.0.1", "::1"]
    end = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes()).not_valid_after_utc
    assert timedelta(days=29) < end - datetime.now(UTC) <= timedelta(days=30)
    for text in ("ssl_options.cacertfile = ", "ssl_options.verify = verify_peer", "export FANLIGHT_CA="):
        assert text in first.stdout
    assert f"FANLIGHT_CERT={folder / 'client-ann.pem'}" in first.stdout

    ca = (folder / "ca.pem").read_bytes()
    again = certs(folder, "broker.example", "*.lan", "192.0.2.7")
    assert again.returncode == 0, again.stderr
    assert "used the CA" in again.stderr
    assert (folder / "ca.pem").read_bytes() == ca, "what trusts it goes on to"
    assert names(folder / "server.pem") == ["broker.example", "*.lan", "192.0.2.7"]
    assert "ssl_options.verify = verify_none" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["--days", "0"], 2, "--days '0' cannot be used"),
        (["--days", "99999999999"], 2, "from 1 to 36500"),
        (["--client", "../x"], 2, "--client '../x' cannot be used"),
        (["ü"], 1, "'ü' cannot be in a certificate"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(
    tmp_path: Path, arguments: list[str], code: int, why: str
) -> None:
    done = certs(tmp_path, *arguments)
    assert done.returncode == code
    last = done.stderr.splitlines()[-1]
    assert last.startswith("certs: ")
    assert why in last
    assert "Traceback" not in done.stderr


def test_a_ca_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    (tmp_path / "ca-key.pem").write_text("x")
    with pytest.raises(CertsError, match=r"ca\.pem: cannot be used as a CA"):
        Authority(tmp_path)
    with pytest.raises(CertsError, match="it has expired"):
        Authority(tmp_path / "old", days=-1)


def test_strict_checks_pass(tmp_path: Path) -> None:
    """What later versions of Python ask for by default (RFC 5280)."""
    authority = Authority(tmp_path)
    server, client = authority.server(("localhost",)), authority.client("ann")
    ours = ssl.create_default_context(cafile=str(authority.pair.cert))
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.pair.cert))
    theirs.verify_mode = ssl.CERT_REQUIRED
    for context, pair in ((ours, client), (theirs, server)):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_cert_chain(pair.cert, pair.key)
    near, far = socket.socketpair()
    with near, far, ThreadPoolExecutor() as pool:
        accepting = pool.submit(theirs.wrap_socket, far, server_side=True)
        with ours.wrap_socket(near, server_hostname="localhost") as client_end:
            client_end.sendall(b"hello")
            with accepting.result(scaled(10)) as server_end:
                assert server_end.recv(5) == b"hello"
