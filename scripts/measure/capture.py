"""`bench.py capture`: the age of what a program that is too slow reads, by `cv2.VideoCapture` and by ours.

One camera, with the time of capture in each picture, is published by Fanlight and sent as MPEG-TS over TCP,
both H.264. Two programs, alike but for the line that opens it, read it at the same time. The server of
MPEG-TS captures nothing while the client takes nothing (one of RTSP would queue): what grows old is in the
buffers of the operating system and of FFmpeg, which OpenCV cannot skip.

    python -m scripts.measure.capture source URL STREAM PORT
    python -m scripts.measure.capture read fanlight|opencv ADDRESS WORK_S
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final

import av
import cv2
from av.video.stream import VideoStream

from fanlight import Producer, VideoCapture
from fanlight.common.codec.picture import as_bgr
from fanlight.common.model.frame import MAX_PIXELS
from fanlight.common.model.pixels import Pixels
from fanlight.producer.source.frame_code import MODULUS, draw_frame_number, read_frame_number
from scripts.lib.ports import free_ports
from scripts.measure.clip import SOURCE
from scripts.measure.goals import Goal, Score, to_csv
from scripts.measure.processes import Fleet, json_lines, wait_for

WORK_S: Final = 0.1  # per frame: ten frames of thirty a second
NAMES: Final = {"fanlight": "fanlight.VideoCapture", "opencv": "cv2.VideoCapture"}
_STREAM: Final = "bench-capture"
_FPS: Final = 30
_SIZE: Final = (1280, 720)
_MAX_AGE_S: Final = 0.5
_X264: Final = {"preset": "superfast", "tune": "zerolatency"}
_SHARE: Final = 5  # the beginning and the end are a fifth of the time each


def run(
    results: Path, url: str, seconds: float, score: Score, show: Callable[[str], None]
) -> list[dict[str, Any]]:
    """One row per program; every frame that it read is in a file beside its log."""
    (port,) = free_ports(1)
    addresses = {"fanlight": url, "opencv": f"tcp://127.0.0.1:{port}"}
    rows = []
    with Fleet(results) as fleet:
        program = [sys.executable, "-m", "scripts.measure.capture"]
        fleet.start("source", [*program, "source", url, _STREAM, str(port)])
        wait_for("the camera", lambda: "ready" in fleet.log("source"), fleet, 30)
        for what, address in addresses.items():
            fleet.start(what, [*program, "read", what, address, str(WORK_S)])
        wait_for("frames", lambda: all(json_lines(fleet.log(what)) for what in NAMES), fleet, 60)
        time.sleep(seconds)
        fleet.check()
        logs = {what: fleet.log(what) for what in NAMES}
    for what, name in NAMES.items():
        frames = json_lines(logs[what])
        to_csv(results / f"{what}.csv", frames)
        found = figures(frames)
        score.add(Goal(name, "frames read", "fps"), found["fps"])
        score.add(Goal(name, "age, first fifth", "s"), found["age_begin_s"])
        score.add(Goal(name, "age, last fifth", "s"), found["age_end_s"])
        limit = _MAX_AGE_S if what == "fanlight" else None
        score.add(Goal(name, "age, worst frame", "s", limit), found["age_worst_s"])
        row = {"program": name, **found}
        show(json.dumps(row))
        rows.append(row)
    return rows


def figures(frames: list[dict[str, float]]) -> dict[str, float]:
    """Medians of the first and of the last fifth of the time, and the worst."""
    begin_s, end_s = frames[0]["at_s"], frames[-1]["at_s"]
    share_s = (end_s - begin_s) / _SHARE
    first = [frame["age_s"] for frame in frames if frame["at_s"] <= begin_s + share_s]
    last = [frame["age_s"] for frame in frames if frame["at_s"] >= end_s - share_s]
    return {
        "fps": (len(frames) - 1) / (end_s - begin_s) if end_s > begin_s else 0.0,
        "age_begin_s": statistics.median(first),
        "age_end_s": statistics.median(last),
        "age_worst_s": max(frame["age_s"] for frame in frames),
    }


# The programs -------------------------------------------------------------------------------------------


def _camera() -> Iterator[tuple[int, Pixels]]:
    """Pictures as they are captured, with the time (Unix ns). One that is not taken in time is not made."""
    with av.open(str(SOURCE)) as container:
        decoded = (frame.reformat(*_SIZE, format="bgr24") for frame in container.decode(video=0))
        footage = [as_bgr(frame.to_ndarray(), MAX_PIXELS) for frame, _ in zip(decoded, range(30))]  # noqa: B905
    due_s = time.monotonic()
    for number in count():
        due_s = max(due_s + 1 / _FPS, time.monotonic())
        time.sleep(max(0.0, due_s - time.monotonic()))
        picture = footage[number % len(footage)].copy()
        capture_ns = time.time_ns()
        draw_frame_number(picture, capture_ns // 1_000_000)
        yield capture_ns, picture


def _publish(url: str, stream: str) -> None:
    with Producer(stream=stream, url=url, fps=_FPS) as out:
        for capture_ns, picture in _camera():
            out.send(picture, capture_ns=capture_ns)


def _serve(listening: socket.socket) -> None:
    """The same camera as MPEG-TS, to one client."""
    client, _ = listening.accept()
    with client, av.open(client.makefile("wb", buffering=0), "w", format="mpegts") as container:
        video = container.add_stream("libx264", rate=_FPS, options=_X264)
        assert isinstance(video, VideoStream)
        video.width, video.height = _SIZE
        video.pix_fmt, video.gop_size = "yuv420p", _FPS
        for number, (_, picture) in enumerate(_camera()):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = number
            container.mux(video.encode(frame))


def _source(url: str, stream: str, port: str) -> None:
    with socket.create_server(("127.0.0.1", int(port))) as listening:
        threading.Thread(target=_publish, args=(url, stream), daemon=True).start()
        print("ready", flush=True)
        with contextlib.suppress(OSError):  # the client has left
            _serve(listening)
        threading.Event().wait()


def _read(what: str, address: str, work_s: str) -> None:
    if what == "fanlight":
        capture: Any = VideoCapture(_STREAM, url=address, via="broker")
    else:
        capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    while True:
        found, image = capture.read()
        now_ms = time.time_ns() // 1_000_000
        if not found:
            raise SystemExit("bench: no more frames")
        captured_ms = read_frame_number(image)
        if captured_ms is not None:
            age_s = (now_ms - captured_ms) % MODULUS / 1000
            print(json.dumps({"at_s": time.monotonic(), "age_s": age_s}), flush=True)
        time.sleep(float(work_s))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    {"source": _source, "read": _read}[sys.argv[1]](*sys.argv[2:])
