from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path

import pytest

from fanlight.common.model.errors import ConfigError
from fanlight.consumer.wall.certificate import ServerCertificate
from scripts.lib.certs import Authority, Pair


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Authority(tmp_path).server(("localhost",))


def test_tls_is_1_2_or_newer(pair: Pair) -> None:
    context = ServerCertificate(str(pair.cert), str(pair.key)).context(0)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_renewed_certificate_is_used(pair: Pair, tmp_path: Path) -> None:
    certificate = ServerCertificate(str(pair.cert), str(pair.key))
    before = certificate.context(0)
    assert certificate.context(1) is before
    renewed = Authority(tmp_path / "new").server(("localhost",))
    os.replace(renewed.key, pair.key)
    os.replace(renewed.cert, pair.cert)
    assert certificate.context(2) is not before


def test_half_a_renewal_keeps_the_former_one(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    certificate = ServerCertificate(str(pair.cert), str(pair.key))
    before = certificate.context(0)
    pair.cert.write_text("-----BEGIN")
    with caplog.at_level(logging.WARNING):
        assert certificate.context(1) is before
        assert certificate.context(2) is before
    assert caplog.text.count("what was read before is used") == 1


def test_an_unusable_file_is_named_by_its_option(pair: Pair, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other").server(("localhost",))
    with pytest.raises(ConfigError, match=r"--web-key .* not the key of --web-cert"):
        ServerCertificate(str(pair.cert), str(other.key))
    with pytest.raises(ConfigError, match=r"--web-cert .* cannot be read"):
        ServerCertificate(str(tmp_path / "none.pem"), None)
