from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.redact import without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://u:secret@h:5672/v", "amqp://u:***@h:5672/v"),
        ("--url=amqps://u:secret@h/v", "--url=amqps://u:***@h/v"),
        ("it is 'amqp://u:secret@h/v', and more", "it is 'amqp://u:***@h/v', and more"),
        ("amqp://u:se/c@r:e t@h", "amqp://u:***@h"),
        ("u:secret@h", "u:***@h"),
        ("u:se://cret@h", "u:***@h"),
        ("amqp:u:secret@h", "amqp:***@h"),
        ("amqp://u:secret", "amqp://u:***"),
        ("amqp://u:secret/v", "amqp://u:***/v"),
        ("amqp://u:123456", "amqp://u:***"),
        ("unrecognized arguments: amqp://u:secret@h", "unrecognized arguments:***@h"),
        ("http://user:secret@host:80/x", "http://user:***@host:80/x"),
        ("rtsp://user:s%40cret@host/x", "rtsp://user:***@host/x"),
        ("rtsp://user:s@cr/et@host/x", "rtsp://user:***@host/x"),
        ("http://host/x?token=secret&size=1", "http://host/x?token=***&size=1"),
        ("rtsp://host/user=a&password=secret&channel=1", "rtsp://host/user=a&password=***&channel=1"),
        ("http://host/x?api_key=secret", "http://host/x?api_key=***"),
        ("http://host/x?PWD=secret#top, and more", "http://host/x?PWD=***#top, and more"),
        ("http://host/x?token=secret&key=secret", "http://host/x?token=***&key=***"),
        # It may be a password with a slash in it.
        ("http://host:8080/a@b", "http://host:***@b"),
    ],
)
def test_a_password_is_hidden(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
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
        "--key=client.pem",
        "record:/data/key=3/x.mkv",
        "http://user@host/",
        "tcp://[::1]:80/",
        "udp://239.0.0.1:1234?timeout=5",
    ],
)
def test_a_text_without_secrets_is_kept(text: str) -> None:
    assert without_secrets(text) == text


@given(st.text(min_size=1, max_size=20))
def test_no_password_gets_through(password: str) -> None:
    shown = without_secrets(f"--url amqp://ann:{password}@host/video")
    assert shown == "--url amqp://ann:***@host/video"
