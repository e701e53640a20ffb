from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from fanlight.common.model.errors import ConfigError
from fanlight.common.transport.certificates import load_own
from scripts.lib.certs import Authority


@pytest.fixture
def context() -> ssl.SSLContext:
    return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)


def test_certificate_and_key_may_be_in_one_file(tmp_path: Path, context: ssl.SSLContext) -> None:
    pair = Authority(tmp_path).server(("localhost",))
    load_own(context, str(pair.cert), str(pair.key))
    both = tmp_path / "both.pem"
    both.write_text(pair.cert.read_text() + pair.key.read_text())
    load_own(context, str(both), None)


@pytest.mark.parametrize(
    ("cert", "key", "line"),
    [
        ("none.pem", "server-key.pem", r"--c '.*none.pem' cannot be used: it cannot be read"),
        ("server.pem", "none.pem", r"--k '.*none.pem' cannot be used: it cannot be read"),
        ("text.pem", "server-key.pem", r"--c '.*text.pem' cannot be used: it holds no certificate"),
        ("server.pem", "text.pem", r"--k '.*text.pem' cannot be used: it holds no key"),
        ("server.pem", "ca-key.pem", r"--k '.*ca-key.pem' cannot be used: it is not the key of --c "),
        ("server.pem", None, r"--k '.*server.pem' cannot be used: it holds no key"),
    ],
)
def test_each_unusable_file_is_one_clear_line(
    tmp_path: Path, context: ssl.SSLContext, cert: str, key: str | None, line: str
) -> None:
    Authority(tmp_path).server(("localhost",))
    (tmp_path / "text.pem").write_text("no certificate\n")
    with pytest.raises(ConfigError, match=line):
        load_own(
            context,
            str(tmp_path / cert),
            None if key is None else str(tmp_path / key),
            flags=("--c", "--k"),
        )
