from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.redact import without_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://u:secret@h:5672/v", "amqp://u:***@h:5672/v"),
        ("--url=amqps://u:secret@h/v", "--url=amqps://u:***@h/v"),
        ("it is 'amqp://u:secret@h/v', he said", "it is 'amqp://u:***@h/v', he said"),
        ("amqp://u:se/c@r:e t@h", "amqp://u:***@h"),
        ("u:secret@h", "u:***@h"),
        ("u:se://cret@h", "u:***@h"),
        ("amqp:u:secret@h", "amqp:***@h"),
        ("amqp://u:secret", "amqp://u:***"),
        ("amqp://u:secret/v", "amqp://u:***/v"),
        ("amqp://u:123456", "amqp://u:***"),
        ("unrecognized arguments: amqp://u:secret@h", "unrecognized arguments:***@h"),
    ],
)
def test_a_password_is_hidden(text: str, shown: str) -> None:
    assert without_passwords(text) == shown
    assert "secret" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30 fps",
        "amqp://host:5672/v",
        "amqp://h:65536",
        "amqp://ann@host/v",
        "http://***@h/v",
        "tcp+threads://[::1]:7000",
        "snapshot:a.png",
        "mail@example",
        "a b: c",
    ],
)
def test_what_has_none_stays(text: str) -> None:
    assert without_passwords(text) == text


@given(st.text(min_size=1, max_size=20))
def test_no_password_gets_through(password: str) -> None:
    shown = without_passwords(f"--url amqp://ann:{password}@host/video")
    assert shown == "--url amqp://ann:***@host/video"
