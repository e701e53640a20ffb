"""`record:FILE` as others see it: ffprobe, ffmpeg, and a process that is killed or runs out of disk."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from fanlight.common.codec.picture import BGR
from fanlight.common.model.frame import Codec
from fanlight.consumer.sinks.frame_queue import FrameQueue
from fanlight.consumer.sinks.record import RecordSink
from tests.support.timing import scaled, wait_until
from tests.unit.consumer.sinks.build import encoded

pytestmark = [
    pytest.mark.brokerless,
    pytest.mark.skipif(
        shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None, reason="ffmpeg is not installed"
    ),
]

MEDIA = Path(__file__).parents[1] / "media" / "bigbuckbunny-720p.mp4"
FILES = [
    (Codec.H264, "r.mp4"),
    (Codec.H264, "r.mkv"),
    (Codec.JPEG, "r.mp4"),
    (Codec.JPEG, "r.mkv"),
    (Codec.PNG, "r.mp4"),
    (Codec.RAW, "r.mp4"),
    (Codec.RAW, "r.mkv"),
]


@dataclass(frozen=True, slots=True)
class Probed:
    """What ffprobe finds in a file, decoding all of it."""

    codec: str
    size: tuple[int, int]
    frames: int
    duration_s: float


def probe(path: Path) -> Probed:
    command = ["ffprobe", "-v", "quiet", "-count_frames", "-show_streams", "-show_format", "-of", "json"]
    run = subprocess.run([*command, str(path)], capture_output=True, timeout=scaled(60), check=True)
    found = json.loads(run.stdout)
    stream = found["streams"][0]
    return Probed(
        codec=stream["codec_name"],
        size=(stream["width"], stream["height"]),
        frames=int(stream["nb_read_frames"]),
        duration_s=float(found["format"].get("duration", 0)),
    )


def ffmpeg_errors(path: Path) -> str:
    """What ffmpeg complains of when it decodes the whole file; stops at the first error."""
    command = ["ffmpeg", "-v", "error", "-xerror", "-i", str(path), "-f", "null", "-"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=scaled(60), check=False)
    return run.stderr or ("" if run.returncode == 0 else f"exit code {run.returncode}")


def decoded(path: Path) -> list[BGR]:
    with av.open(str(path)) as container:
        return [f.to_ndarray(format="bgr24").astype(np.uint8) for f in container.decode(video=0)]


@pytest.mark.parametrize(("of", "name"), FILES)
@pytest.mark.parametrize("size", [(320, 240), (641, 481)])
def test_a_player_finds_every_frame_and_the_right_duration(
    tmp_path: Path, of: Codec, name: str, size: tuple[int, int]
) -> None:
    sink = RecordSink(str(tmp_path / name), FrameQueue(max_bytes=1 << 30))
    for frame in encoded(45, of=of, size=size):
        sink.receive(frame)
    sink.close()
    assert ffmpeg_errors(tmp_path / name) == ""
    found = probe(tmp_path / name)
    coded = size if of in (Codec.JPEG, Codec.PNG) else (size[0] + size[0] % 2, size[1] + size[1] % 2)
    kind = {Codec.JPEG: "mjpeg", Codec.PNG: "png"}.get(of, "h264")
    assert (found.codec, found.size, found.frames) == (kind, coded, 45)
    assert found.duration_s == pytest.approx(1.5, abs=0.002)


CAMERA = """
import sys, time
from dataclasses import replace
from fanlight.common.model.frame import EncodedFrame
from fanlight.consumer.sinks.frame_queue import FrameQueue
from fanlight.consumer.sinks.record import RecordSink
from tests.unit.consumer.sinks.build import STEP_NS, encoded
frames = encoded(30, size=(320, 240))
sink = RecordSink(sys.argv[1])
print("recording", flush=True)
for seq in range(3000):
    frame = frames[seq % 30]
    header = frame.header._replace(seq=seq, capture_ns=frames[0].header.capture_ns + seq * STEP_NS)
    sink.receive(EncodedFrame(header, frame.body))
    sink.tick()
    time.sleep(0.004)  # a camera eight times as fast as its time stamps
"""


def readable(path: Path) -> int:
    """Frames that can be played right now; 0 while there is not even a header."""
    try:
        with av.open(str(path)) as container:
            return sum(1 for p in container.demux(video=0) if p.size)
    except av.error.FFmpegError:
        return 0


@pytest.mark.parametrize("name", ["r.mp4", "r.mkv"])
def test_a_recording_is_playable_after_kill_9(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    command = [sys.executable, "-c", CAMERA, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as camera:
        assert camera.stdout is not None
        try:
            assert camera.stdout.readline() == "recording\n"
            wait_until(lambda: readable(path) >= 100, 20, "100 frames in the file")
            assert camera.poll() is None, "it is still recording"
        finally:
            camera.kill()
    found = probe(path)
    assert found.frames >= 100
    assert found.size == (320, 240)
    with av.open(str(path)) as container:
        times = [
            p.pts * (p.time_base or Fraction(0)) for p in container.demux(video=0) if p.pts is not None
        ]
    assert all(later > earlier for earlier, later in itertools.pairwise(times))
    # Frame by frame a thirtieth of a second apart, from the start to the last one.
    assert float(times[-1]) == pytest.approx((len(times) - 1) / 30, abs=0.01)
