from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from fanlight.common.model.credentials import Credentials
from fanlight.common.model.errors import ConfigError
from fanlight.common.runtime.credential_files import CredentialFiles, credentials_of
from fanlight.common.runtime.options import options_of

TOKEN = "0123456789abcdef"


def loaded(flags: Mapping[str, object] | None = None, **environment: str) -> Credentials:
    return CredentialFiles.load(flags or {}, environment).read()


def written(folder: Path, text: str | bytes, mode: int = 0o600) -> str:
    path = folder / "secret"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return str(path)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("FANLIGHT_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("name", ["password", "token"])
def test_a_secret_comes_from_a_variable_or_a_file_and_the_file_wins(tmp_path: Path, name: str) -> None:
    file = written(tmp_path, "in the file 1234\n")
    variable = f"FANLIGHT_{name.upper()}"
    assert getattr(loaded({}, **{variable: "in the variable 1"}), name) == "in the variable 1"
    assert getattr(loaded({}, **{f"{variable}_FILE": file}), name) == "in the file 1234"
    flags = {f"{name}_file": file}
    assert getattr(loaded(flags, **{variable: "in the variable 1"}), name) == "in the file 1234"


@pytest.mark.parametrize(
    ("text", "password"),
    [
        ("pw", "pw"),
        ("pw\n", "pw"),
        ("pw\r\n", "pw"),
        (" pw ", " pw "),
        ("pä ß€", "pä ß€"),
        ("x" * 4096, "x" * 4096),
    ],
)
def test_one_newline_at_the_end_is_left_out(tmp_path: Path, text: str, password: str) -> None:
    assert loaded({"password_file": written(tmp_path, text)}).password == password


@pytest.mark.parametrize(
    "text", ["", "\n", "s3cret\nand more", "s3cret\n\n", b"s3cret\xff", "x" * 4097, "s3cret\0"]
)
def test_a_file_without_exactly_one_line_is_refused_and_not_repeated(
    tmp_path: Path, text: str | bytes
) -> None:
    with pytest.raises(ConfigError, match=r"^--password-file '.*/secret' cannot be used: ") as caught:
        loaded({"password_file": written(tmp_path, text)})
    error: BaseException | None = caught.value
    assert "s3cret" not in str(error)
    assert "s3cret" not in repr(error)
    assert caught.value.__cause__ is None


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="it cannot be read: No such file"):
        loaded({"token_file": str(tmp_path / "none")})
    with pytest.raises(ConfigError, match="it cannot be read: Is a directory"):
        loaded({"token_file": str(tmp_path)})


@pytest.mark.parametrize("name", ["PASSWORD", "TOKEN"])
def test_an_empty_variable_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^FANLIGHT_{name} ''.*empty"):
        loaded({}, **{f"FANLIGHT_{name}": ""})


@pytest.mark.parametrize(("mode", "warnings"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1)])
def test_a_file_that_others_can_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warnings: int
) -> None:
    file = written(tmp_path, "s3cret", mode)
    with caplog.at_level(logging.WARNING):
        loaded({"password_file": file})
        loaded({"cert": file, "key": file})
    assert len(caplog.records) == 2 * warnings
    assert "s3cret" not in caplog.text
    assert not warnings or f"--password-file {file} can be read by other users: chmod 600" in caplog.text


def test_a_program_hands_it_in_or_leaves_it_to_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FANLIGHT_PASSWORD_FILE", written(tmp_path, "of the file"))
    monkeypatch.setenv("FANLIGHT_TOKEN", TOKEN)
    monkeypatch.setenv("FANLIGHT_CA", "ca.pem")
    assert credentials_of() == Credentials(password="of the file", token=TOKEN, ca="ca.pem")
    own = credentials_of(password="own", token=TOKEN[::-1], ca="own.pem", cert="c", key=None)
    assert own == Credentials(password="own", token=TOKEN[::-1], ca="own.pem", cert="c")
    monkeypatch.setenv("FANLIGHT_PASSWORD", "")
    assert credentials_of(password="own").password == "own"
    with pytest.raises(ConfigError, match="empty"):
        credentials_of(password="")


def test_secrets_have_no_flag() -> None:
    assert {each.name for each in options_of(CredentialFiles) if each.secret} == {"password", "token"}
