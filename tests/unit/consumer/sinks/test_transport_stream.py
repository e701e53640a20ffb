"""MPEG-TS: what goes in comes out, and each frame at once."""

from __future__ import annotations

import io
from dataclasses import replace

import av
import pytest

from fanlight.common.model.errors import DecodeError, SinkError
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.consumer.sinks.transport_stream import TransportStream
from tests.unit.consumer.sinks.build import STEP_NS, encoded

PACKET_BYTES = 188


def written(frames: list[EncodedFrame]) -> list[bytes]:
    transport = TransportStream()
    parts = [transport.write(frame, frame.header.seq * STEP_NS) for frame in frames]
    transport.close()
    return parts


def sizes_and_times(data: bytes) -> list[tuple[int, int, float]]:
    with av.open(io.BytesIO(data), "r", format="mpegts") as container:
        return [(p.width, p.height, p.time or 0.0) for p in container.decode(video=0)]


def test_a_player_gets_every_picture_at_its_time() -> None:
    pictures = sizes_and_times(b"".join(written(encoded(20))))
    assert [picture[:2] for picture in pictures] == [(64, 48)] * 20
    start = pictures[0][2]
    assert [time - start for _, _, time in pictures] == pytest.approx([n / 30 for n in range(20)], abs=1e-4)


def test_each_frame_is_written_at_once_in_whole_packets_with_the_tables_first() -> None:
    parts = written(encoded(5))
    assert all(part and len(part) % PACKET_BYTES == 0 for part in parts)
    assert {part[0] for part in parts} == {0x47}
    with av.open(io.BytesIO(parts[0]), "r", format="mpegts") as container:
        assert container.streams.video[0].codec_context.name == "h264"


def test_the_size_may_change() -> None:
    larger = [replace(f, header=f.header._replace(seq=f.header.seq + 9)) for f in encoded(6, size=(96, 64))]
    pictures = sizes_and_times(b"".join(written([*encoded(9), *larger])))
    assert [picture[:2] for picture in pictures] == [(64, 48)] * 9 + [(96, 64)] * 6


def test_another_codec_is_refused() -> None:
    with pytest.raises(SinkError, match=r"^MPEG-TS holds h264 only: stream \w+ is jpeg$"):
        written(encoded(1, of=Codec.JPEG))


def test_a_body_that_is_no_h264_is_refused_and_the_next_one_is_not() -> None:
    frames = encoded(16)
    transport = TransportStream()
    with pytest.raises(DecodeError, match="cannot be written to MPEG-TS"):
        transport.write(replace(frames[0], body=b"nothing"), 0)
    assert transport.write(frames[15], STEP_NS)
    transport.close()
