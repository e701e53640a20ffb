from __future__ import annotations

import re

import pytest

from fanlight.consumer.sink_spec import SINK, SINKS, SinkSpec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("window", SinkSpec("window")),
        ("status", SinkSpec("status")),
        (" null ", SinkSpec("null")),
        ("share", SinkSpec("share")),
        ("snapshot:a.jpg", SinkSpec("snapshot", "a.jpg")),
        ("record:/var/x y.mp4", SinkSpec("record", "/var/x y.mp4")),
        ("pipe:-.ts", SinkSpec("pipe", "-.ts")),
        ("trace:a:b.csv", SinkSpec("trace", "a:b.csv")),
        ("web:0.0.0.0:8080", SinkSpec("web", "0.0.0.0:8080")),
        ("web::8080", SinkSpec("web", ":8080")),
    ],
)
def test_a_sink_is_a_kind_and_what_follows_the_first_colon(text: str, spec: SinkSpec) -> None:
    assert SINK.read(text) == spec
    assert str(spec) == text.strip()


@pytest.mark.parametrize("kind", ["snapshot", "record", "pipe", "trace"])
def test_a_file_may_be_in_the_home_folder(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert SINK.read(f"{kind}:~/x.mp4") == SinkSpec(kind, "/home/me/x.mp4")
    assert SINK.read(f"{kind}:a/~/x.mp4") == SinkSpec(kind, "a/~/x.mp4")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "vindow",
        "Window",
        ":x",
        "web",
        "web:",
        "web:host",
        "web:host:0",
        "web:a b:80",
        "window:",
        "null:x",
        "share:x",
        "record",
        "trace:",
    ],
)
def test_other_texts_are_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(SINKS)}$"):
        SINK.read(text)
