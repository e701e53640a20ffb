"""The codec work of one stream and N viewers and nothing else, in one process: the floor for every design.

    python -m scripts.measure.codec_work CLIP VIEWERS FRAMES

Prints milliseconds of CPU for one encode and for one decode to BGR. Every viewer has its own decoder, as
it would have in its own process.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import islice

import av

from fanlight.common.codec import decoder, encoder
from fanlight.common.model.frame import Codec, EncodedFrame, FrameHeader


def measure(clip: str, viewers: int, frames: int) -> dict[str, float]:
    """CPU milliseconds per frame: `encode_ms` once, `decode_ms` for each viewer."""
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
        header = FrameHeader(
            stream="work",
            codec=Codec.H264,
            epoch=1,
            seq=seq,
            capture_ns=0,
            width=picture.width,
            height=picture.height,
            key=encoded.key,
            fps=30,
        )
        frame = EncodedFrame(header, encoded.body)
        began = time.process_time()
        for each in decoders:
            each.decode(frame).pixels()
        spent_decoding += time.process_time() - began
    return {
        "encode_ms": spent_encoding / len(pictures) * 1e3,
        "decode_ms": spent_decoding / len(pictures) / viewers * 1e3,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
