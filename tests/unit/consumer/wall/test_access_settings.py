from __future__ import annotations

import logging
from pathlib import Path

import pytest

from fanlight.common.model.errors import ConfigError
from fanlight.consumer.wall.access_settings import WebAccess, WebSettings

TOKEN = "0123456789abcdef"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    return file


def test_the_token_comes_from_its_file_before_the_environment(token_file: Path) -> None:
    environment = {"FANLIGHT_WEB_TOKEN": "another one of 26 letters."}
    assert WebSettings.load({}, {}).read_access().token is None
    assert WebSettings.load({}, environment).read_access().token == environment["FANLIGHT_WEB_TOKEN"]
    flags = {"web_token_file": str(token_file)}
    assert WebSettings.load(flags, environment).read_access().token == TOKEN


def test_the_token_is_in_no_text(token_file: Path) -> None:
    settings = WebSettings(web_token=TOKEN)
    assert TOKEN not in repr(settings)
    assert TOKEN not in repr(settings.read_access())


def test_a_short_token_is_refused_without_showing_it(token_file: Path) -> None:
    token_file.write_text("short\n")
    with pytest.raises(ConfigError, match=r"--web-token-file .*5 characters.* 16 and more") as caught:
        WebSettings(web_token_file=str(token_file)).read_access()
    assert "short" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"FANLIGHT_WEB_TOKEN .* 16 and more"):
        WebSettings(web_token="short").read_access()


def test_a_token_that_others_can_read_is_warned_of(
    token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token_file.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        WebSettings(web_token_file=str(token_file)).read_access()
    assert "--web-token-file" in caplog.text
    assert "chmod 600" in caplog.text


def test_a_key_needs_its_certificate(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--web-key .*--web-cert FILE"):
        WebSettings(web_key=str(tmp_path / "key.pem")).read_access()


@pytest.mark.parametrize("name", ["http://wall.lan", "wall.lan:8080", "wall lan", "", ".", "-x", "<b>"])
def test_a_host_is_a_name_alone(name: str) -> None:
    with pytest.raises(ConfigError, match=r"--web-host .*the name of a host"):
        WebSettings(web_hosts=(name,))


def test_hosts_are_given_several_times_or_with_commas() -> None:
    assert WebSettings.load({"web_hosts": ["Wall.lan", "b"]}, {}).web_hosts == ("wall.lan", "b")
    assert WebSettings.load({}, {"FANLIGHT_WEB_HOST": "wall.lan,b"}).web_hosts == ("wall.lan", "b")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_on_the_loopback_nothing_is_required(host: str) -> None:
    WebAccess().check_listen("--listen", host, 8080)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])  # noqa: S104
def test_beyond_it_a_token_is_required_with_tls_too(host: str) -> None:
    for access in (WebAccess(), WebAccess(cert="cert.pem", key="key.pem")):
        with pytest.raises(ConfigError) as caught:
            access.check_listen("--listen", host, 8080)
        line = str(caught.value)
        assert line.startswith("--listen '")
        assert "--web-token-file FILE" in line
        assert "127.0.0.1" in line
        assert "\n" not in line
    WebAccess(token=TOKEN).check_listen("--listen", host, 8080)
