"""References to pictures in the memory of this host; of a stream that nobody else uses."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import pytest

from common.errors import SharingError
from common.frame import Codec, EncodedFrame, FrameHeader
from common.pixels import FULL_BGR, Form, PixelFormat
from common.sharing.hosts import FOLDER
from common.sharing.layout import Reference, SegmentHeader
from common.sharing.writer import Segment
from consumer.shared import SharedPictures
from tests.unit.common.sharing.build import EPOCH, described, new_name, noise

SECOND = 1_000_000_000
GRACE_NS = SECOND // 2
MISSING = "shared pictures {} cannot be read: No such file or directory; the stream itself will do"


class Bench:
    """The segments of a hub, and a clock for the complaints."""

    def __init__(self, stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stream = stream
        self.now_ns = SECOND
        self.segments: list[Segment] = []
        monkeypatch.setattr("consumer.shared.monotonic_ns", lambda: self.now_ns)

    def segment(
        self, header: SegmentHeader | None = None, stream: str = "", form: Form = FULL_BGR
    ) -> Segment:
        header = header or described(grace_ns=GRACE_NS)
        self.segments.append(Segment(new_name(stream or self.stream, form, header.epoch), header))
        return self.segments[-1]

    def frame(self, body: bytes, header: SegmentHeader | None = None) -> EncodedFrame:
        found = header or described()
        return EncodedFrame(
            FrameHeader(
                stream=self.stream, codec=Codec.SHARED, epoch=found.epoch, seq=0, capture_ns=0,
                width=found.width, height=found.height, key=True, fps=30.0,
            ),
            body,
        )  # fmt: skip

    def refers(self, name: str, slot: int = 0, generation: int = 1) -> EncodedFrame:
        return self.frame(Reference(name, slot, generation).serialize())

    def write(self, segment: Segment, now_ns: int = 0, seed: int = 0) -> EncodedFrame:
        written = segment.write(noise(segment.header, seed), now_ns)
        assert written is not None
        return self.frame(Reference(segment.name, *written).serialize(), segment.header)

    def pictures(self, needed_s: float = 0.0, form: Form = FULL_BGR) -> SharedPictures:
        return SharedPictures(self.stream, form, needed_s)

    def missing(self) -> str:
        return new_name(self.stream)


@pytest.fixture
def bench(
    stream: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Bench]:
    caplog.set_level(logging.DEBUG, "consumer.shared")
    bench = Bench(stream, monkeypatch)
    yield bench
    for segment in bench.segments:
        segment.close()
    assert not [path for path in FOLDER.iterdir() if f".{stream}." in path.name]


def refused(pictures: SharedPictures, frame: EncodedFrame, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What is said of a frame that is of no use."""
    caplog.clear()
    assert not pictures.usable(frame)
    assert pictures.picture(frame) is None
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    return list(caplog.messages)


# Usable --------------------------------------------------------------------------------------------------


def test_what_a_hub_shares_is_usable_and_nothing_is_said(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    pictures, segment = bench.pictures(), bench.segment()
    frames = [bench.write(segment, seed=seed) for seed in range(3)]
    assert all(pictures.usable(frame) for frame in frames)
    for seed, frame in enumerate(frames):
        picture = pictures.picture(frame)
        assert picture is not None
        assert (picture.image == noise(segment.header, seed)).all()
        assert not picture.image.flags.writeable
    assert caplog.messages == []


@pytest.mark.parametrize("pixel_format", PixelFormat)
def test_every_form_is_usable_by_who_asked_for_it(bench: Bench, pixel_format: PixelFormat) -> None:
    form = Form(pixel_format, (32, 16))
    segment = bench.segment(described(pixel_format, width=32, height=16, grace_ns=GRACE_NS), form=form)
    pictures = bench.pictures(form=form)
    frame = bench.write(segment)
    assert pictures.usable(frame)
    picture = pictures.picture(frame)
    assert picture is not None
    assert (picture.image == noise(segment.header)).all()


def test_a_segment_is_mapped_once(bench: Bench) -> None:
    pictures, segment = bench.pictures(), bench.segment()
    first = bench.write(segment)
    assert pictures.usable(first)
    (FOLDER / segment.name).unlink()
    second = bench.write(segment)
    assert pictures.usable(second)
    one, other = pictures.picture(first), pictures.picture(first)
    assert one is not None
    assert other is not None
    assert np.shares_memory(one.image, other.image)


def test_what_cannot_be_read_is_said_in_a_line(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    name = bench.missing()
    assert refused(bench.pictures(), bench.refers(name), caplog) == [MISSING.format(name)]


def test_a_segment_that_was_refused_is_tried_again_once_a_second_and_said_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    segment = bench.segment()
    path = FOLDER / segment.name
    frame = bench.write(segment)
    path.chmod(0o644)  # not to be trusted
    pictures = bench.pictures()
    assert len(refused(pictures, frame, caplog)) == 1
    for _ in range(10):
        bench.now_ns += SECOND
        assert refused(pictures, frame, caplog) == []
    path.chmod(0o600)
    bench.now_ns += SECOND - 1
    assert refused(pictures, frame, caplog) == []
    bench.now_ns += 1
    assert pictures.usable(frame)


def test_many_segments_that_cannot_be_read_are_said_once_per_second(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = bench.pictures()
    names = [bench.missing() for _ in range(20)]
    said: list[str] = []
    for name in names:
        said += refused(pictures, bench.refers(name), caplog)
        bench.now_ns += SECOND // 10
    assert said == [MISSING.format(names[n]) for n in (0, 10)]


@pytest.mark.parametrize("body", [b"x", b"a b c", b"\xff 1 1 1", b"fanlight 1 0"])
def test_what_is_no_reference_is_not_usable(
    bench: Bench, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    (said,) = refused(bench.pictures(), bench.frame(body), caplog)
    assert said == f"body is {body!r}: allowed is SEGMENT SLOT GENERATION; the stream itself will do"


def test_no_reference_leads_out_of_the_folder(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    (said,) = refused(bench.pictures(), bench.refers("../../etc/passwd"), caplog)
    assert said.startswith(
        "shared pictures '../../etc/passwd' cannot be used: segment is '../../etc/passwd'"
    )


def test_another_stream_or_form_is_not_usable(
    bench: Bench, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    grey = Form(PixelFormat.GREY)
    others = [
        bench.segment(stream=f"{stream}x"),
        bench.segment(described(PixelFormat.GREY), form=grey),
        bench.segment(form=Form(size=(16, 8))),
    ]
    pictures = bench.pictures()
    for other in others:
        (said,) = refused(pictures, bench.write(other), caplog)
        assert said.startswith(f"shared pictures '{other.name}' cannot be used: segment is '")
        bench.now_ns += SECOND


def test_pictures_that_are_not_kept_for_as_long_as_they_are_needed_are_not_usable(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    frame = bench.write(bench.segment())
    assert bench.pictures(0.5).usable(frame)
    assert refused(bench.pictures(0.75), frame, caplog) == [
        "the hub keeps shared pictures for 500 ms, here they are needed for 750: give it a longer "
        "--max-age; the stream itself will do"
    ]


def test_one_that_is_refused_leaves_the_one_in_use_alone(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    pictures, frame = bench.pictures(), bench.write(bench.segment())
    assert pictures.usable(frame)
    assert len(refused(pictures, bench.refers(bench.missing()), caplog)) == 1
    assert pictures.usable(frame)
    assert pictures.picture(frame) is not None
    assert pictures.alive


# Pictures ------------------------------------------------------------------------------------------------


def test_without_a_segment_there_is_no_picture_and_no_hub(bench: Bench) -> None:
    pictures = bench.pictures()
    assert pictures.picture(bench.write(bench.segment())) is None
    assert not pictures.alive
    assert pictures.beat_ns is None


def test_a_picture_that_was_overwritten_is_none(bench: Bench) -> None:
    pictures, segment = bench.pictures(), bench.segment()
    frames = [bench.write(segment, n) for n in range(3)]
    assert pictures.usable(frames[0])
    held = [pictures.picture(frame) for frame in frames]
    bench.write(segment, GRACE_NS)
    assert [pictures.picture(frame) is None for frame in frames] == [True, False, False]
    assert [picture is not None and picture.valid for picture in held] == [False, True, True]


def test_a_picture_that_never_was_there_is_none(bench: Bench) -> None:
    pictures, segment = bench.pictures(), bench.segment()
    assert pictures.usable(bench.write(segment))
    for slot, generation in ((0, 2), (1, 1), (3, 1), (503, 1)):
        assert pictures.picture(bench.refers(segment.name, slot, generation)) is None


def test_a_picture_of_an_earlier_segment_is_none_and_what_is_held_of_it_stays(bench: Bench) -> None:
    pictures, earlier, later = bench.pictures(), bench.segment(), bench.segment()
    old, new = bench.write(earlier, seed=1), bench.write(later, seed=2)
    assert pictures.usable(old)
    held = pictures.picture(old)
    assert held is not None
    assert pictures.usable(new)
    earlier.close()
    assert pictures.picture(old) is None
    assert pictures.picture(new) is not None
    assert held.valid
    assert (held.image == noise(earlier.header, 1)).all()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (described(width=32), "32x8 of epoch 5eed"),
        (described(height=16), "16x16 of epoch 5eed"),
        (described(epoch=0xABC), "16x8 of epoch abc"),
    ],
)
def test_a_picture_other_than_its_header_says_is_an_error(
    bench: Bench, said: SegmentHeader, shown: str
) -> None:
    pictures, segment = bench.pictures(), bench.segment()
    assert pictures.usable(bench.write(segment))
    with pytest.raises(SharingError) as caught:
        pictures.picture(bench.frame(Reference(segment.name, 0, 1).serialize(), said))
    assert str(caught.value) == (
        f"shared picture refused: it is 16x8 of epoch {EPOCH:x}, its header says {shown}"
    )


@pytest.mark.parametrize("rest", [b"", b"0", b"0 0", b"0 x", b"504 1", b"0 1 1", b"-1 1"])
def test_a_reference_that_only_begins_well_is_an_error(bench: Bench, rest: bytes) -> None:
    pictures, segment = bench.pictures(), bench.segment()
    assert pictures.usable(bench.write(segment))
    frame = bench.frame(f"{segment.name} ".encode() + rest)
    assert pictures.usable(frame)
    with pytest.raises(SharingError, match=r"^shared picture refused: body is b'"):
        pictures.picture(frame)


def test_a_name_that_begins_like_the_one_in_use_is_another_one(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    pictures, segment = bench.pictures(), bench.segment()
    assert pictures.usable(bench.write(segment))
    assert len(refused(pictures, bench.refers(f"{segment.name}0"), caplog)) == 1


# The hub -------------------------------------------------------------------------------------------------


def test_it_says_whether_the_hub_lives_and_when_it_was_at_work(bench: Bench) -> None:
    pictures, segment = bench.pictures(), bench.segment()
    assert pictures.usable(bench.write(segment))
    segment.beat(123)
    assert (pictures.alive, pictures.beat_ns) == (True, 123)
    segment.close()
    assert (pictures.alive, pictures.beat_ns) == (False, 0)


def test_the_hub_is_the_one_whose_references_came_last(bench: Bench) -> None:
    pictures, earlier, later = bench.pictures(), bench.segment(), bench.segment()
    assert pictures.usable(bench.write(earlier))
    assert pictures.usable(bench.write(later))
    later.beat(7)
    earlier.close()
    assert (pictures.alive, pictures.beat_ns) == (True, 7)
