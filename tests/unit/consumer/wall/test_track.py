"""One form of one stream."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from fanlight.common import clock
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.consumer.wall.message import Form
from fanlight.consumer.wall.track import GopCache, Track
from fanlight.consumer.wall.viewer_queue import LiveFrame, ViewerQueue
from tests.support.timing import scaled
from tests.unit.consumer.sinks.build import encoded
from tests.unit.consumer.wall.build import MS, live

MAX_AGE_NS = 3600 * 1000 * MS


class _Viewed:
    """A track with one viewer; what threads post is run by `next`."""

    def __init__(self, form: Form, max_size: tuple[int, int] | None = None) -> None:
        self.keys = self.not_made = 0
        self._posted: list[Callable[[], None]] = []
        self._came = threading.Semaphore(0)
        self.track = Track(
            "cam",
            form,
            max_size,
            4,
            max_age_ns=MAX_AGE_NS,
            want_key=self._want_key,
            not_made=self._count,
            post=self._post,
            in_background=lambda call: call(),
        )
        self.queue = ViewerQueue(self._want_key)
        self.track.join(self.queue)

    def _count(self) -> None:
        self.not_made += 1

    def _want_key(self) -> None:
        self.keys += 1

    def _post(self, call: Callable[[], None]) -> None:
        self._posted.append(call)
        self._came.release()

    def offer(self, *frames: EncodedFrame) -> None:
        for each in frames:
            self.track.offer(LiveFrame(each, clock.wall_ns(), False, arrived_ns=clock.monotonic_ns()))

    def next(self) -> LiveFrame:
        """The next frame of the viewer, which may take a thread's work."""
        while (taken := self.queue.take(clock.monotonic_ns())) is None:
            assert self._came.acquire(timeout=scaled(15)), "nothing was made of the frames"
            self._posted.pop(0)()
        return taken


@contextmanager
def _viewed(form: Form, max_size: tuple[int, int] | None = None) -> Iterator[_Viewed]:
    viewed = _Viewed(form, max_size)
    try:
        yield viewed
    finally:
        viewed.track.stop()


@pytest.mark.parametrize("codec", [Codec.H264, Codec.JPEG])
def test_what_browsers_decode_is_passed_on_as_it_came(codec: Codec) -> None:
    frames = encoded(3, of=codec)
    with _viewed(Form.FRAMES) as viewed:
        viewed.offer(*frames)
        assert [viewed.next().frame for _ in frames] == frames


@pytest.mark.parametrize("codec", [Codec.PNG, Codec.RAW])
def test_what_no_browser_decodes_comes_as_jpeg(codec: Codec) -> None:
    with _viewed(Form.FRAMES) as viewed:
        viewed.offer(*encoded(1, of=codec))
        made = viewed.next()
    assert made.frame.header.codec is Codec.JPEG
    assert (made.frame.header.width, made.frame.header.height) == (64, 48)
    assert made.frame.body.startswith(b"\xff\xd8")
    assert made.description is not None
    assert made.description.codec == "jpeg"


def test_pictures_of_video_are_scaled_to_fit() -> None:
    with _viewed(Form.JPEG, (40, 40)) as viewed:
        viewed.offer(*encoded(1))
        made = viewed.next()
    assert (made.frame.header.width, made.frame.header.height) == (40, 30)


def test_jpeg_that_fits_is_passed_on_as_it_came() -> None:
    frames = encoded(1, of=Codec.JPEG)
    with _viewed(Form.JPEG, (64, 64)) as viewed:
        viewed.offer(*frames)
        assert viewed.next().frame is frames[0]


def test_mp4_has_its_initialization_segment_and_type() -> None:
    with _viewed(Form.MP4) as viewed:
        viewed.offer(*encoded(2))
        made = viewed.next()
    assert made.init[4:8] == b"ftyp"
    assert made.fragment is not None
    assert made.fragment[4:8] == b"moof"
    assert made.description is not None
    assert made.description.mime is not None
    assert made.description.mime.startswith('video/mp4; codecs="avc1.')


def test_a_stream_that_mp4_cannot_hold_is_sent_as_frames() -> None:
    with _viewed(Form.MP4) as viewed:
        viewed.offer(*encoded(1, of=Codec.JPEG))
        made = viewed.next()
    assert made.fragment is None
    assert made.description is not None
    assert (made.description.form, made.description.codec) == (Form.FRAMES, "jpeg")


def test_a_keyframe_without_parameter_sets_is_sent_as_a_frame() -> None:
    frame = encoded(1)[0]
    bare = EncodedFrame(frame.header, b"\0\0\0\1\x65" + bytes(50))
    with _viewed(Form.MP4) as viewed:
        viewed.offer(bare)
        assert viewed.next().fragment is None


def test_the_description_is_the_same_object_until_something_changes() -> None:
    first, second, *_ = encoded(2)
    other = encoded(1, size=(80, 48))[0]
    with _viewed(Form.FRAMES) as viewed:
        viewed.offer(first, second, EncodedFrame(other.header._replace(seq=2), other.body))
        described = [viewed.next().description for _ in range(3)]
    assert described[0] is described[1]
    assert described[2] is not described[1]


def test_a_viewer_that_joins_begins_with_the_keyframe_before() -> None:
    frames = encoded(4)
    with _viewed(Form.FRAMES) as viewed:
        viewed.offer(*frames)
        late = ViewerQueue(lambda: None)
        viewed.track.join(late)
        taken = [late.take(clock.monotonic_ns()) for _ in frames]
    assert [each.frame for each in taken if each is not None] == frames


def test_the_gop_is_given_only_while_it_may_be_drawn() -> None:
    gop = GopCache(MAX_AGE_NS)
    gop.add(live(1))
    assert gop.fresh(0) == []
    key, later = live(10), live(11)
    gop.add(key)
    gop.add(later)
    assert gop.fresh(MAX_AGE_NS) == [key, later]
    assert gop.fresh(MAX_AGE_NS + 1) == []


def test_the_gop_is_bounded() -> None:
    gop = GopCache(MAX_AGE_NS)
    gop.add(live(0))
    for seq in range(1, 7):
        gop.add(live(seq, size_bytes=100_000))
    assert gop.fresh(0) == []
    gop.add(live(10, size_bytes=1_000_000))
    assert len(gop.fresh(0)) == 1
