"""What a producer says of a frame arrives on exactly that frame, whichever way it takes."""

from __future__ import annotations

import csv
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from fanlight import ConfigError, Consumer
from fanlight.common.model.frame import Codec
from tests.integration.test_pipeline import EVERY_CODEC, read
from tests.support.broker import tcp_url, with_broker_and
from tests.support.commands import running
from tests.support.hubs import hub
from tests.support.marked_stream import is_marked
from tests.support.telling_stream import PATIENT_S, Telling, check_metas, meta_of
from tests.support.timing import scaled, wait_until

BOTH = {True, False}
"""Frames with meta and frames without."""


def read_both(consumer: Consumer) -> None:
    """Check frames until there were some with meta and some without."""
    seen = set[bool]()
    while seen != BOTH:
        frames = read(consumer, 1)
        seen |= check_metas(frames)
        if frames[0].header.codec in (Codec.RAW, Codec.PNG):
            assert is_marked(frames[0]) or not frames[0].valid


@EVERY_CODEC
@with_broker_and("threads")
def test_meta_arrives_on_exactly_its_frame_in_every_codec(url: str, stream: str, codec: str) -> None:
    with (
        Telling(url, stream, codec=codec, max_age_s=PATIENT_S),
        Consumer(stream, url=url, max_age_s=PATIENT_S, via="broker") as consumer,
    ):
        read_both(consumer)


@pytest.mark.brokerless
@pytest.mark.parametrize(("design", "payload_frames"), [("threads", 3), ("multiplex", 1)])
def test_meta_arrives_from_every_design_and_in_payloads_of_several_frames(
    stream: str, design: str, payload_frames: int
) -> None:
    url = tcp_url(design)
    with (
        Telling(url, stream, payload_frames=payload_frames, max_age_s=PATIENT_S),
        Consumer(stream, url=url, max_age_s=PATIENT_S, via="broker") as consumer,
    ):
        read_both(consumer)


@with_broker_and("multiplex")
@pytest.mark.parametrize("zero_copy", [True, False])
def test_meta_arrives_through_a_hub_and_on_the_way_there_and_back(
    url: str, stream: str, zero_copy: bool
) -> None:
    with (
        Telling(url, stream),
        Consumer(stream, url=url, zero_copy=zero_copy) as consumer,
        ExitStack() as hubs,
    ):
        read_both(consumer)
        hubs.enter_context(hub(url, stream))
        while not consumer.stats().shared:
            check_metas(read(consumer, 1))
        read_both(consumer)
        hubs.close()
        while consumer.stats().shared:
            check_metas(read(consumer, 1))
        read_both(consumer)


def metas(trace: Path) -> list[tuple[int, dict[str, Any]]]:
    """Capture time and meta of every whole line so far."""
    text = trace.read_text() if trace.exists() else ""
    rows = csv.DictReader(text[: text.rfind("\n") + 1].splitlines())
    return [(int(row["capture_ns"]), json.loads(row["meta"] or "{}")) for row in rows]


@pytest.mark.brokerless
def test_meta_is_in_the_traces_of_all_consumers(stream: str, tmp_path: Path) -> None:
    """Of a hub and of its viewer."""
    url = tcp_url("threads")
    traces = {way: tmp_path / f"{way}.csv" for way in ("hub", "viewer")}

    with (
        Telling(url, stream),
        hub(url, stream, "--sink", f"trace:{traces['hub']}") as hub_command,
        running(
            "consumer", "--url", url, "--stream", stream, "--via", "host",
            "--sink", "null", "--sink", f"trace:{traces['viewer']}",
        ) as viewer,
    ):  # fmt: skip
        for trace in traces.values():
            wait_until(
                lambda trace=trace: {bool(meta) for _, meta in metas(trace)} == BOTH,  # type: ignore[misc]
                30,
                f"{trace.name} has rows with meta and without",
            )
        for command in (viewer, hub_command):
            command.end()
    for trace in traces.values():
        assert all(meta == meta_of(capture_ns) for capture_ns, meta in metas(trace))


@with_broker_and("threads")
def test_a_program_that_says_something_else_than_json_is_told_before_anything_is_sent(
    url: str, stream: str
) -> None:
    with Telling(url, stream) as telling:
        with pytest.raises(ConfigError, match=r"^meta\['a'\]\[0\] nan cannot be used"):
            telling.producer.send(telling.picture(1), meta={"a": [float("nan")]})
        with Consumer(stream, url=url) as consumer:
            frame = consumer.read(timeout_s=scaled(15))
            assert frame is not None
            check_metas([frame])
