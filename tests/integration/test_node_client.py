"""A consumer in another language, built on `docs/wire.md` alone, and decoders that are not ours."""

from __future__ import annotations

import io
import itertools
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.integration.test_pipeline import FPS, Camera, on_air
from tests.support.addresses import broker_address
from tests.support.timing import scaled
from tests.unit.common.codec.build import psnr

FOLDER = Path(__file__).parent / "node"
COUNT = 40


@pytest.fixture(autouse=True)
def _tools() -> None:
    missing = [tool for tool in ("node", "ffmpeg", "ffprobe", "djpeg") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed; scripts/test installs them where it may")
    if not (FOLDER / "node_modules" / "amqplib").is_dir():
        pytest.skip(
            f"amqplib is missing: run `npm install --no-package-lock` in {FOLDER}, as scripts/test does"
        )


def receive(url: str, stream: str, folder: Path) -> tuple[list[dict[str, Any]], list[bytes]]:
    """What the Node client printed about each frame, and the bodies that it saved."""
    command = ["node", str(FOLDER / "client.mjs"), url, stream, str(COUNT), str(folder)]
    client = subprocess.run(command, capture_output=True, text=True, timeout=scaled(30), check=False)
    assert client.returncode == 0, client.stderr
    frames = [json.loads(line) for line in client.stdout.splitlines()]
    bodies = [(folder / str(number)).read_bytes() for number in range(len(frames))]
    assert len(frames) == COUNT
    assert [len(body) for body in bodies] == [frame["size"] for frame in frames]
    return frames, bodies


def check_wire(
    frames: list[dict[str, Any]], *, url: str, stream: str, epoch: int, content_type: str
) -> None:
    """Every header and property is as `docs/wire.md` has it."""
    types = {
        "v": "number",
        "stream": "string",
        "epoch": "number",
        "seq": "number",
        "capture_ns": "number",
        "width": "number",
        "height": "number",
        "key": "boolean",
        "fps": "number",
    }
    now_s = time.time()
    login = broker_address(url).user
    for frame in frames:
        headers = frame["headers"]
        assert frame["types"] == types
        assert (headers["v"], headers["stream"], headers["fps"]) == (1, stream, FPS)
        assert (headers["width"], headers["height"]) == (320, 180)
        # JavaScript's numbers hold 53 bits.
        assert float(headers["epoch"]) == float(epoch)
        assert now_s - 60 <= headers["capture_ns"] / 1e9 <= now_s
        assert frame["timestamp"] == headers["capture_ns"] // 10**9
        assert (frame["contentType"], frame["deliveryMode"]) == (content_type, 1)
        assert (frame["appId"], frame["userId"]) == ("fanlight", login)
    first = frames[0]["headers"]["seq"]
    assert [frame["headers"]["seq"] for frame in frames] == list(range(first, first + COUNT))
    captures = [frame["headers"]["capture_ns"] for frame in frames]
    assert all(one < next_ for one, next_ in itertools.pairwise(captures))


def picture_of(camera: Camera, capture_ns: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """What was sent at this time, which lost its last digits on the way through JavaScript."""
    return camera.sent[min(camera.sent, key=lambda sent_ns: abs(sent_ns - capture_ns))]


def test_h264_is_read_by_node_and_decoded_by_ffmpeg(stream: str, broker_url: str, tmp_path: Path) -> None:
    with on_air(stream, broker_url, "h264") as (out, camera):
        frames, bodies = receive(broker_url, stream, tmp_path)
    check_wire(frames, url=broker_url, stream=stream, epoch=out.epoch, content_type="video/h264")
    keys = [number for number, frame in enumerate(frames) if frame["headers"]["key"]]
    # Frames come with a keyframe a second, and an idle producer wakes with one.
    assert keys[0] == 0
    assert len(keys) >= 2
    annexb = tmp_path / "stream.h264"
    annexb.write_bytes(b"".join(bodies))
    raw = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-fps_mode", "passthrough", "-"]
    decoded = subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-f", "h264", "-i", str(annexb), *raw],
        capture_output=True,
        timeout=scaled(30),
        check=True,
    )
    assert decoded.stderr == b""
    pictures = np.frombuffer(decoded.stdout, np.uint8).reshape(-1, 180, 320, 3)
    assert len(pictures) == COUNT
    for frame, picture in zip(frames, pictures, strict=True):
        assert psnr(picture, picture_of(camera, frame["headers"]["capture_ns"])) >= 30
    show = ["-of", "json", "-show_entries", "stream=nb_read_frames,width,height,color_range,color_space"]
    probed = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-f", "h264", *show, str(annexb)],
        capture_output=True,
        timeout=scaled(30),
        check=True,
    )
    assert probed.stderr == b""
    (found,) = json.loads(probed.stdout)["streams"]
    assert (found["width"], found["height"], found["nb_read_frames"]) == (320, 180, str(COUNT))
    # FFmpeg has two names for the one matrix of BT.601.
    assert found["color_space"] in {"bt470bg", "smpte170m"}
    assert found["color_range"] == "tv"


def test_jpeg_is_read_by_node_and_decoded_by_djpeg_and_pillow(
    stream: str, broker_url: str, tmp_path: Path
) -> None:
    with on_air(stream, broker_url, "jpeg") as (out, camera):
        frames, bodies = receive(broker_url, stream, tmp_path)
    check_wire(frames, url=broker_url, stream=stream, epoch=out.epoch, content_type="image/jpeg")
    assert all(frame["headers"]["key"] for frame in frames)
    for frame, body in zip(frames, bodies, strict=True):
        sent = picture_of(camera, frame["headers"]["capture_ns"])
        djpeg = subprocess.run(
            ["djpeg", "-ppm"], input=body, capture_output=True, timeout=scaled(30), check=True
        )
        assert djpeg.stderr == b""
        for file in (djpeg.stdout, body):
            with Image.open(io.BytesIO(file)) as image:
                assert image.size == (320, 180)
                assert psnr(np.asarray(image.convert("RGB"))[:, :, ::-1], sent) >= 30
