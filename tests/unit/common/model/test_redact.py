from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.redact import url_without_secrets, without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://u:secret@h:5672/v", "amqp://***@h:5672/v"),
        ("--url=amqps://u:secret@h/v", "--url=amqps://***@h/v"),
        ("it is 'amqp://u:secret@h/v', and more", "it is 'amqp://***@h/v', and more"),
        ("u:secret@h", "***@h"),
        ("amqp:u:secret@h", "***@h"),
        ("amqp://u:secret", "amqp://u:***"),
        ("amqp://u:secret/v", "amqp://u:***/v"),
        ("amqp://u:123456", "amqp://u:***"),
        ("unrecognized arguments: amqp://u:secret@h", "unrecognized arguments: amqp://***@h"),
        ("http://user:secret@host:80/x", "http://***@host:80/x"),
        ("http://secret@host/x", "http://***@host/x"),
        ("rtsp://user:s%40cret@host/x", "rtsp://***@host/x"),
        ("cache:http://user:secret@host/x", "***://***@host/x"),
        ("cache:http://host/x?a=secret", "cache:http://host/x?a=***"),
        # Query values, under any name, and what has no name.
        ("http://host/x?token=secret&size=1", "http://host/x?token=***&size=***"),
        ("http://host/x?loginuse=admin&loginpas=secret", "http://host/x?loginuse=***&loginpas=***"),
        ("http://host/x?PWD=secret#secret, and more", "http://host/x?PWD=***#*** and more"),
        ("rtsp://host/cam?c2VjcmV0OnNlY3JldA==", "rtsp://host/cam?***"),
        ("rtsp://host/cam?YWRtaW46=&enableSrtp", "rtsp://host/cam?***&***"),
        ("http://host?a=secret", "http://host?a=***"),
        ("http://[::1]:8080/x?a=secret", "http://[::1]:8080/x?a=***"),
        # Path segments with a separator in them, escaped or not, and what looks like a key.
        ("rtsp://host/user=a_password=secret_channel=1.sdp", "rtsp://host/***"),
        ("rtsp://host/user=a&password=secret&channel=1/live", "rtsp://host/***/live"),
        ("http://host.lan:8080/me@secret/x", "http://host.lan:8080/***/x"),
        ("http://host/me@secret/x", "http://host/***/x"),
        ("http://host/a%3Dsecret/x;b=secret/me:secret/100", "http://host/***/***/***/100"),
        ("rtmp://live.twitch.tv/app/live_secret_0123456789", "rtmp://live.twitch.tv/app/***"),
        ("rtsps://10.0.0.1:7441/YhFkYIsRsecret0b?enableSrtp", "rtsps://10.0.0.1:7441/***?***"),
        ("http://host/secret0A/index.m3u8", "http://host/***/index.m3u8"),
        ("rtsp://a:secret@10.0.0.1/s?mail=a@b.c", "rtsp://***@10.0.0.1/s?mail=***"),
        ("rtsp://a:secret@cam.lan/me@secret/1", "rtsp://***@cam.lan/***/1"),
        # Where the host is, is not clear.
        ("amqp://u:se/c@r:e t@h", "amqp://***"),
        ("rtsp://user:s@cr/et@host/x", "rtsp://***/x"),
        ("rtsp://admin:pw@cam/user@secret/x", "rtsp://***/x"),
        ("rtsp://secret:12/345@host/x", "rtsp://***/x"),
        ("rtsp://secret:12#45@host/x", "rtsp://***/x"),
        ("u:se://cret@h", "***://***@h"),
        ("two: rtsp://a/x=secret and rtsp://b:1/?k=secret", "two: rtsp://a/*** and rtsp://b:1/?k=***"),
    ],
)
def test_what_may_be_a_secret_is_hidden(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
    assert "secret" not in shown
    assert without_secrets(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30 fps",
        "amqp://host:5672/v",
        "amqp://ann@a:5672,b:5673/v?heartbeat=30&connection_timeout=2000",
        "http://***@h/v",
        "tcp+threads://[::1]:7000",
        "tcp+threads://::1:7000",
        "snapshot:a.png",
        "mail@example",
        "a b: c",
        "--key=client.pem",
        "record:/data/key=3/x.mkv",
        "tcp://[::1]:80/",
        "udp://239.0.0.1:1234?timeout=5",
        "udp://@239.0.0.1:1234",
        "rtsp://camera.lan:554/Streaming/Channels/101",
        "http://host/axis-cgi/mjpg/video.cgi",
        "https://host/hls/live/720p.m3u8",
        'File "x.py", line 3, in f: x = y @ z',
    ],
)
def test_a_text_without_secrets_is_kept(text: str) -> None:
    assert without_secrets(text) == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("rtsp//u:secret@cam/x", "***@cam/x"),
        ("rtsp:/u:secret@cam/x", "***@cam/x"),
        ("//u:secret@cam/x", "***@cam/x"),
        ("cam.lan/video?user=u&pwd=secret", "cam.lan/video?user=***&pwd=***"),
        ("rtsp//cam/x?k=secret", "rtsp//cam/x?k=***"),
        ("run=3/img-?.png", "run=3/img-?.png"),
    ],
)
def test_a_url_whose_scheme_is_mistyped_or_missing_hides_its_secrets(value: str, shown: str) -> None:
    assert url_without_secrets(value) == shown == url_without_secrets(shown)


def test_a_url_in_a_text_ends_with_its_line() -> None:
    text = 'rtsp://u:x\nFile "a.py": b\n@property'
    assert without_secrets(text) == 'rtsp://u:***\nFile "a.py": b\n@property'


@given(st.text(min_size=1, max_size=20))
def test_no_password_gets_through(password: str) -> None:
    marked = f"{password}S3cr3t{password}"
    shown = url_without_secrets(f"--url=amqp://ann:{marked}@host/video")
    assert shown in {"--url=amqp://***@host/video", "--url=amqp://***/video"}


# After an & comes another parameter, whose name is shown.
_CHARACTERS = st.characters(exclude_characters="&") | st.sampled_from("@:/?#=;%\\ '\"[]\n")


@given(st.text(_CHARACTERS, max_size=12), st.text(string.ascii_letters, min_size=1, max_size=8))
def test_no_query_value_gets_through_and_hiding_twice_changes_nothing(around: str, name: str) -> None:
    shown = url_without_secrets(f"http://cam.lan:80/live?{name}=x{around}s3cret{around}")
    assert shown.startswith(f"http://cam.lan:80/live?{name}=")
    assert "s3cret" not in shown
    assert url_without_secrets(shown) == shown
