"""What no design can save, in one process: the codec work of N viewers, and reading a source.

    python -m scripts.measure.floors codec CLIP VIEWERS FRAMES
    python -m scripts.measure.floors capture CLIP SECONDS

Prints JSON. Every viewer has its own decoder, as it would have in its own process.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import islice

import av

from fanlight.common.codec import decoder, encoder
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.producer.source.media import FileSource
from scripts.lib.headers import header


def codec_work(clip: str, viewers: int, frames: int) -> dict[str, float]:
    """CPU milliseconds per frame: `encode_ms` once, `decode_ms` to BGR for each viewer."""
    with av.open(clip) as container:
        container.streams.video[0].codec_context.thread_count = 1
        pictures = list(islice(container.decode(video=0), frames))
    coder = encoder(Codec.H264, fps=30, gop_s=1.0)
    decoders = [decoder(Codec.H264) for _ in range(viewers)]
    spent_encoding = spent_decoding = 0.0
    for seq, picture in enumerate(pictures):
        began = time.process_time()
        encoded = coder.encode(picture, key=False)
        spent_encoding += time.process_time() - began
        about = header(seq, Codec.H264, (picture.width, picture.height), key=encoded.key)
        frame = EncodedFrame(about, encoded.body)
        began = time.process_time()
        for each in decoders:
            each.decode(frame).pixels()
        spent_decoding += time.process_time() - began
    return {
        "encode_ms": spent_encoding / len(pictures) * 1e3,
        "decode_ms": spent_decoding / len(pictures) / viewers * 1e3,
    }


def capture_work(clip: str, seconds: float) -> float:
    """CPU seconds per second of reading a source at its own pace: what an idle producer cannot save."""
    source = FileSource(clip, fps=30)
    source.open()
    source.read()
    began, used = time.monotonic(), time.process_time()
    while time.monotonic() - began < seconds and source.read() is not None:
        pass
    return (time.process_time() - used) / (time.monotonic() - began)


if __name__ == "__main__":
    what, path, *numbers = sys.argv[1:]
    if what == "codec":
        print(json.dumps(codec_work(path, *map(int, numbers))))
    else:
        print(json.dumps(capture_work(path, float(numbers[0]))))
