"""Where frames come from, with real rings; the stream is simulated."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fanlight.common.model.pixels import FULL_BGR, PictureFormat, PixelFormat
from fanlight.common.shm import private_folder
from fanlight.common.shm.locks import Leadership
from fanlight.common.shm.names import RingName
from fanlight.common.shm.private_folder import ring_folder
from fanlight.common.shm.reader import Attachment
from fanlight.consumer.frame import Frame
from fanlight.consumer.hub_source import HubSource
from fanlight.consumer.receiver import Admission
from fanlight.consumer.route import HubSearch, LastFrame, Route
from fanlight.consumer.stats import ConsumerCounters
from fanlight.consumer.stream_source import StreamSource
from tests.support.headers import header
from tests.unit.consumer.build import MS, SECOND, Hub, ManualClock, Screen, own_ring, sharing

SEARCH = 200 * MS


class Stream(StreamSource):
    """Frames of the stream that wait."""

    def __init__(self) -> None:
        self.waiting: list[int] = []
        self.timeouts_s: list[float] = []
        self.released = self.restarts = 0
        self.idle = False

    def waited(self) -> bool:
        return self.idle

    def restart(self) -> None:
        self.restarts += 1

    @property
    def empty(self) -> bool:
        return not self.waiting

    def take(self, timeout_s: float) -> Frame | None:
        self.timeouts_s.append(timeout_s)
        if not self.waiting:
            return None
        return Frame(np.zeros((1, 1, 3), np.uint8), header(self.waiting.pop(0)), 0, 0, 0.0, 0)

    def release(self) -> None:
        self.released += 1


class Bench(ManualClock):
    """A route, and what it asked of the others."""

    def __init__(self) -> None:
        super().__init__()
        self.ring = own_ring()
        self.follows: list[bool] = []
        self.stream, self.counters = Stream(), ConsumerCounters()
        self.admission = Admission(500 * MS)
        self.left_epochs: set[int] = set()

    def route(
        self, *, ring: RingName | None = None, delay_ns: int | None = None, only_hubs: bool = False
    ) -> Route:
        search = HubSearch(ring or self.ring, delay_ns, self.left_epochs.__contains__, required=only_hubs)
        return self.route_with(search, delay_ns=delay_ns, only_hubs=only_hubs)

    def route_with(
        self, search: HubSearch | None, *, delay_ns: int | None = None, only_hubs: bool = False
    ) -> Route:
        def attach(attachment: Attachment, last: LastFrame) -> HubSource:
            return HubSource(
                attachment, "cam", self.counters, Screen(),
                delay_ns=delay_ns, after=last, now_ns=self.monotonic_ns,
            )  # fmt: skip

        return Route(
            search, self.stream, self.admission, attach, self.follows.append,
            only_hubs=only_hubs, now_ns=self.monotonic_ns,
        )  # fmt: skip

    def receive(self, seq: int) -> None:
        """A frame of the stream arrives, and does not wait."""
        self.admission.offer(header(seq), age_ns=0, now_ns=self.now_ns)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def hub(bench: Bench) -> Iterator[Hub]:
    """One that is at work and has shared the frame 5."""
    with sharing(bench.ring) as hub:
        hub.keep_alive(bench.now_ns)
        hub.share(5, now_ns=bench.now_ns)
        yield hub


def seq_of(frame: Frame | None) -> int | None:
    return None if frame is None else frame.seq


# To a hub ----------------------------------------------------------------------------------------------


def test_with_a_hub_from_the_beginning_the_stream_is_never_joined(bench: Bench, hub: Hub) -> None:
    route = bench.route()
    assert not route.follows_stream
    assert seq_of(route.take(0)) == 5
    hub.share(6, now_ns=bench.now_ns)
    assert seq_of(route.take(0)) == 6
    assert bench.admission.paused
    assert (bench.follows, bench.stream.timeouts_s, bench.stream.released) == ([], [], 1)


def test_without_a_hub_the_stream_is_used_and_hubs_are_searched_for(bench: Bench) -> None:
    route = bench.route()
    assert route.follows_stream
    bench.stream.waiting = [1]
    assert seq_of(route.take(9)) == 1
    assert bench.stream.timeouts_s == [SEARCH / SECOND], "to search for one again"
    assert (bench.follows, bench.admission.paused) == ([], False)


def test_waiting_frames_of_the_stream_come_before_those_of_a_hub(bench: Bench) -> None:
    route = bench.route()
    bench.stream.waiting = [3, 4]
    bench.receive(5)
    assert seq_of(route.take(0)) == 3
    with sharing(bench.ring) as hub:
        hub.share(5, now_ns=bench.now_ns)
        hub.share(6, now_ns=bench.now_ns)
        bench.now_ns += SEARCH - 1
        bench.stream.waiting += [5]
        assert seq_of(route.take(0)) == 4
        assert bench.follows == [], "it was not searched for yet"
        bench.now_ns += 1
        assert seq_of(route.take(0)) == 5
        assert (bench.admission.paused, bench.follows, bench.stream.released) == (True, [False], 0)
        assert seq_of(route.take(0)) == 6, "and 5 is not shown again"
        assert bench.stream.released == 1


@pytest.mark.parametrize("only_hubs", [False, True])
def test_a_hub_is_used_from_its_first_picture_on(bench: Bench, only_hubs: bool) -> None:
    with sharing(bench.ring) as hub:
        route = bench.route(only_hubs=only_hubs)
        assert (route.follows_stream, bench.admission.paused) == (not only_hubs, only_hubs)
        assert route.take(0) is None
        hub.share(0, now_ns=bench.now_ns)
        bench.now_ns += SEARCH
        assert seq_of(route.take(0)) == 0


def test_a_hub_that_is_stuck_is_not_used(bench: Bench, hub: Hub) -> None:
    bench.now_ns += SECOND
    route = bench.route()
    assert route.follows_stream
    route.take(0)
    hub.keep_alive(bench.now_ns)
    bench.now_ns += SEARCH
    assert seq_of(route.take(0)) == 5


def test_pictures_of_another_source_are_not_used(bench: Bench, hub: Hub) -> None:
    assert bench.route(ring=RingName("cam", FULL_BGR, "00000000")).follows_stream


def test_a_consumer_that_wants_no_hub_waits_for_the_stream_alone(bench: Bench, hub: Hub) -> None:
    route = bench.route_with(None)
    assert route.follows_stream
    assert route.take(9) is None
    assert (bench.stream.timeouts_s, bench.follows) == ([9], [])


# From a hub --------------------------------------------------------------------------------------------


def leave(bench: Bench, route: Route) -> None:
    """Let a hub that has left be noticed."""
    assert route.take(0) is None
    bench.now_ns += 100 * MS
    assert route.take(0) is None


def test_after_a_hub_that_closes_the_stream_goes_on(bench: Bench, hub: Hub) -> None:
    route = bench.route()
    route.take(0)
    hub.segment.close()
    leave(bench, route)
    assert (bench.follows, bench.admission.paused) == ([True], False)
    assert bench.admission.pause() == (1, 5)
    bench.stream.waiting = [6]
    assert seq_of(route.take(0)) == 6


def test_a_hub_that_is_stuck_is_left_and_used_again_when_it_goes_on(bench: Bench, hub: Hub) -> None:
    route = bench.route()
    route.take(0)
    bench.now_ns += 500 * MS
    assert route.take(0) is None
    assert bench.follows == [], "it may only have no frames"
    bench.now_ns += 101 * MS
    route.take(0)
    assert (bench.follows, bench.admission.paused) == ([True], False)
    hub.keep_alive(bench.now_ns)
    hub.share(6, now_ns=bench.now_ns)
    bench.now_ns += SEARCH
    assert seq_of(route.take(0)) == 6
    assert (bench.follows, bench.admission.paused) == ([True, False], True)


@pytest.mark.parametrize("after_ns", [0, 99 * MS])
def test_a_successor_within_a_moment_is_used_without_the_stream(
    bench: Bench, hub: Hub, after_ns: int
) -> None:
    """Pictures of another size, say: nothing is shown twice, and nobody joins the stream for it."""
    route = bench.route()
    route.take(0)
    hub.segment.close()
    if after_ns:
        route.take(0)
        bench.now_ns += after_ns
    with sharing(bench.ring) as successor:
        successor.share(5, 6, now_ns=bench.now_ns)
        assert route.take(0) is None
        assert seq_of(route.take(0)) == 6
    assert (bench.follows, bench.admission.paused, bench.counters.lost) == ([], True, 0)


def test_a_consumer_that_uses_hubs_only_never_joins_the_stream(bench: Bench, hub: Hub) -> None:
    route = bench.route(only_hubs=True)
    assert not route.follows_stream
    assert seq_of(route.take(0)) == 5
    hub.segment.close()
    leave(bench, route)
    assert route.take(0) is None
    with sharing(bench.ring) as another:
        another.share(5, now_ns=bench.now_ns)
        bench.now_ns += SEARCH
        assert route.take(0) is None, "it was shown by the first one"
        another.share(6, now_ns=bench.now_ns)
        assert seq_of(route.take(0)) == 6
    assert True not in bench.follows


# Hubs that cannot be used ------------------------------------------------------------------------------


def test_a_hub_whose_grace_time_is_too_short_is_refused_with_one_line(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    with sharing(bench.ring, grace_ns=100 * MS) as hub:
        hub.share(0, now_ns=bench.now_ns)
        route = bench.route(delay_ns=150 * MS)
        assert route.follows_stream
        for _ in range(20):
            route.take(0)
            bench.now_ns += SEARCH
            hub.keep_alive(bench.now_ns)
        assert bench.follows == []
        assert caplog.messages == [
            "the hub keeps shared pictures for 100 ms, here they are needed for 150: give it a longer "
            "--max-age; the stream itself is used"
        ]
        assert not bench.route().follows_stream, "for `latest` it will do"


def test_a_hub_of_a_producer_that_was_left_is_not_used(bench: Bench, hub: Hub) -> None:
    bench.left_epochs = {1}
    route = bench.route()
    assert route.follows_stream
    route.take(0)
    bench.left_epochs.clear()
    for _ in range(5):
        bench.now_ns += SEARCH
        hub.keep_alive(bench.now_ns)
    assert seq_of(route.take(0)) == 5


def test_a_file_that_is_no_segment_is_passed_over(
    bench: Bench, hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = ring_folder() / bench.ring.segment("00000000")
    wrong.touch(0o600)
    try:
        assert seq_of(bench.route().take(0)) == 5
    finally:
        wrong.unlink()
    assert len(caplog.messages) <= 1


# None --------------------------------------------------------------------------------------------------

START_ONE = "start one (python -m consumer --sink share) or omit --via host; no frames until then"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host's shared memory, with nothing in it."""
    monkeypatch.setattr(private_folder, "SHARED_MEMORY", tmp_path)
    return tmp_path


def test_a_required_hub_that_is_not_there_is_named_once_and_again_when_it_has_left(
    bench: Bench, host: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    nobody = f"no hub of this user shares cam as bgr from this --url; {START_ONE}"
    route = bench.route(only_hubs=True)
    route.take(0)
    assert caplog.messages == [nobody], "at once"
    for _ in range(30):
        bench.now_ns += SEARCH
        route.take(0)
    assert caplog.messages == [nobody]
    with sharing(bench.ring) as hub:
        hub.keep_alive(bench.now_ns)
        hub.share(5, now_ns=bench.now_ns)
        bench.now_ns += SEARCH
        assert seq_of(route.take(0)) == 5
    leave(bench, route)
    for _ in range(30):
        bench.now_ns += SEARCH
        route.take(0)
    assert caplog.messages == [nobody, "a hub shares cam: its frames are used", nobody]


def test_where_the_stream_will_do_a_missing_hub_is_not_mentioned(
    bench: Bench, host: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench.route().take(0)
    assert caplog.messages == []


def test_hubs_that_do_not_fit_and_users_who_have_some_are_named(
    bench: Bench, host: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give a folder away")
    for user in (65534, 4711):
        (host / f"fanlight-{user}").mkdir()
        os.chown(host / f"fanlight-{user}", user, user)
    other = Leadership(bench.ring._replace(picture_format=PictureFormat(PixelFormat.GREY, (64, 48))))
    assert other.acquire()
    bench.route(only_hubs=True).take(0)
    assert caplog.messages == [
        "no hub of this user shares cam as bgr from this --url (hubs share grey-64x48: see --format, "
        "--size, --url); a hub of user 4711 serves that user only; a hub of user nobody serves that user "
        f"only; {START_ONE}"
    ]
    caplog.clear()
    fitting = Leadership(bench.ring)
    assert fitting.acquire()
    bench.route(only_hubs=True).take(0)
    assert caplog.messages == [
        "the hub has no frames of cam yet: is the producer running?; no frames until then"
    ]
    fitting.release()
    other.release()
