"""The clip that every design plays: real footage, long enough to need no loop, in a plain MP4."""

from __future__ import annotations

from pathlib import Path

import av

from fanlight.common.codec.picture import Converter
from scripts.lib.instance import CHECKOUT

SOURCE = CHECKOUT / "tests" / "media" / "bigbuckbunny-720p.mp4"
FPS = 30


def repeated(path: Path, seconds: float, size: tuple[int, int] = (1280, 720), fps: int = FPS) -> Path:
    """Write the footage to `path` as often as it takes to last so long: H.264.

    Quick to decode (no B-frames, CABAC or deblocking): a camera, in whose place it stands, costs nothing.
    """
    with av.open(SOURCE) as container:
        scaler = Converter()
        pictures = [scaler.to_frame(frame, "yuv420p", size) for frame in container.decode(video=0)]
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "18"})
        stream.width, stream.height = size
        stream.codec_context.max_b_frames = 0
        for index in range(int(seconds * fps)):
            picture = pictures[index % len(pictures)]
            picture.pts, picture.time_base = index, 1 / stream.codec_context.framerate
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path
