"""Results from a detector by the broker to what people see and keep: a window, a recording, a page."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Any

import av
import numpy as np

from scripts.lib.ports import free_ports
from tests.support.broker import tcp_url
from tests.support.commands import ROOT, run_script, running
from tests.support.display import Display, display
from tests.support.moving_square import NAME, SIZE, around, is_framed, square_in, squares
from tests.support.roles import as_user
from tests.support.timing import scaled, wait_until
from tests.support.wall import wall
from tests.support.wall_page import wall_page

__all__ = ["display"]

DOCUMENT = ROOT / "docs" / "results.md"
# Long, so that a detector on a loaded machine answers in time.
PATIENT = ("--max-age", "5s", "--wait", "4s")


def test_a_window_shows_each_box_on_the_frame_that_it_is_of(
    broker_url: str, stream: str, display: Display
) -> None:
    consumer = ("--url", broker_url, "--stream", stream, "--name", "c1", "--results", NAME, *PATIENT)
    environment = {"DISPLAY": display.name}
    framed = set()

    def has_shown_three() -> bool:
        shown = display.screenshot()[: SIZE[1], : SIZE[0]]
        if is_framed(shown):
            framed.add(square_in(shown))
        return len(framed) >= 3

    with (
        squares(broker_url, stream),
        running("consumer", *consumer, "--sink", "window", environment=environment),
    ):
        wait_until(lambda: display.windows(f"Fanlight c1 - {stream}"), 20, "a window")
        display.expose(display.windows(f"Fanlight c1 - {stream}")[0])
        wait_until(has_shown_three, 30, "boxes in three places, each around the square")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines: another one may be on its way."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def test_a_sidecar_has_what_was_found_in_the_picture_at_its_position(
    broker_url: str, stream: str, tmp_path: Path
) -> None:
    sidecar = tmp_path / "r.mkv.jsonl"
    consumer = ("--url", broker_url, "--stream", stream, "--results", "*", "--max-age", "5s")
    recording = ("--sink", f"record:{tmp_path}/r.mkv")
    with squares(broker_url, stream), running("consumer", *consumer, *recording) as command:
        wait_until(
            lambda: sum(each["type"] == "result" for each in read_lines(sidecar)) >= 10, 30, "ten results"
        )
        command.signal(signal.SIGTERM)
        assert command.wait() == 0, command.err.text
    lines = read_lines(sidecar)
    frames = {(each["epoch"], each["seq"]): each for each in lines if each["type"] == "frame"}
    results = [each for each in lines if each["type"] == "result"]
    with av.open(str(tmp_path / "r.mkv")) as container:
        pictures = {
            round(frame.time, 4): frame.to_ndarray(format="bgr24").astype(np.uint8)
            for frame in container.decode(video=0)
        }
    assert len(pictures) == len(frames)
    for result in results:
        frame = frames[result["epoch"], result["seq"]]
        assert (result["at_s"], result["capture_ns"]) == (frame["at_s"], frame["capture_ns"])
        square = square_in(pictures[round(result["at_s"], 4)])
        assert square is not None
        assert np.abs(np.subtract(result["boxes"][0], around(square))).max() <= 4
    printed = run_script(str(program_of_the_document(tmp_path)), str(tmp_path / "r.mkv"))
    assert printed.stderr == ""
    by_picture = sorted(results, key=lambda each: each["at_s"])
    assert printed.stdout.splitlines() == [
        f"{each['at_s']:.3f} s {each['seq']} {NAME} {each['boxes']}" for each in by_picture
    ]


def program_of_the_document(folder: Path) -> Path:
    """The one that docs/results.md has, in a file."""
    programs = re.findall(r"```python\n(import.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (folder / "program.py").write_text(programs[0])
    return folder / "program.py"


def test_the_web_sink_passes_them_on_too(broker_url: str, stream: str) -> None:
    port = free_ports(1)[0]
    consumer = ("--url", broker_url, "--stream", stream, "--sink", f"web:127.0.0.1:{port}")

    async def first(url: str) -> dict[str, Any]:
        async with asyncio.timeout(scaled(30)), wall_page(url) as page:
            await page.text("streams", lambda each: bool(each["streams"]))
            await page.say("subscribe", stream=stream)
            await page.say("results", stream=stream, wanted=True)
            return await page.text("results")

    with squares(broker_url, stream), running("consumer", *consumer) as command:
        command.wait_line("the page is at ")
        assert asyncio.run(first(f"http://127.0.0.1:{port}"))["results"][0]["name"] == NAME


def test_a_wall_needs_no_more_than_the_role_of_a_viewer(broker_url: str, stream: str) -> None:
    url = as_user(broker_url, "producer")
    detector_url, viewer_url = as_user(broker_url, "detector"), as_user(broker_url, "viewer")

    async def first(address: str) -> dict[str, Any]:
        async with asyncio.timeout(scaled(60)), wall_page(address) as page:
            # Wanted before there is a detector, or even a stream.
            await page.say("subscribe", stream=stream)
            await page.say("results", stream=stream, wanted=True)
            await page.say("clock", sent_ms=1)
            await page.text("clock")
            with squares(url, stream, detector_url=detector_url):
                return await page.text("results")

    with wall(viewer_url, "--streams", stream) as (_, port):
        message = asyncio.run(first(f"http://127.0.0.1:{port}"))
    assert message["results"][0]["name"] == NAME, message


def test_without_a_broker_a_page_is_told_that_there_are_no_results(stream: str) -> None:
    async def told(url: str) -> dict[str, Any]:
        async with asyncio.timeout(scaled(30)), wall_page(url) as page:
            await page.say("subscribe", stream=stream)
            await page.say("results", stream=stream, wanted=True)
            return await page.text("results")

    with wall(tcp_url("multiplex"), "--streams", stream) as (_, port):
        message = asyncio.run(told(f"http://127.0.0.1:{port}"))
    assert (message["results"], "results need a broker" in message["reason"]) == ([], True)
