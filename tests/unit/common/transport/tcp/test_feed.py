from __future__ import annotations

from fanlight.common.clock import monotonic_ns
from fanlight.common.transport.tcp.feed import MOST_MESSAGES, Feed
from fanlight.common.transport.tcp.ring import PayloadRing

SECOND = 1_000_000_000


class Client:
    """A ring, and the feed of one client of it."""

    def __init__(self, *, capacity: int = 4, ends: bool = False) -> None:
        self.ring = PayloadRing(capacity)
        self.lost: list[int] = []
        self.needs = 0
        self.feed = Feed(
            self.ring,
            stale_ns=SECOND,
            on_lost=self.lost.append,
            on_needs_key=self._needs_key,
            ends=ends,
        )

    def _needs_key(self) -> None:
        self.needs += 1

    def put(self, data: bytes, *, key: bool = False, age_ns: int = 0) -> None:
        self.ring.put(data, frames=1, key=key, captured_ns=monotonic_ns() - age_ns)

    def read(self) -> bytes:
        """All that there is now."""
        data = b""
        while (more := self.feed.next()) is not None:
            data += more
        return data


def test_one_that_leaves_and_comes_back_goes_on_with_the_newest_keyframe() -> None:
    client = Client()
    client.put(b"0", key=True)
    assert client.read() == b"", "it does not follow yet"
    client.feed.follow(True)
    assert client.read() == b"0"
    client.feed.follow(False)
    for number in range(1, 20):
        client.put(b"%d" % number, key=number == 18)
    assert client.read() == b""
    client.feed.follow(True)
    assert client.read() == b"1819"
    assert client.lost == [], "what it did not want is not lost"


def test_messages_come_before_frames_and_in_order() -> None:
    client = Client()
    client.feed.send(lambda: b"welcome ")
    client.put(b"frame", key=True)
    client.feed.follow(True)
    client.feed.send(lambda: b"and a reply ")
    assert client.read() == b"welcome and a reply frame"


def test_messages_to_a_client_that_does_not_read_are_bounded() -> None:
    client = Client()
    for _ in range(MOST_MESSAGES + 5):
        client.feed.send(lambda: b"x")
    assert client.read() == b"x" * MOST_MESSAGES
    client.feed.send(lambda: b"y")
    assert client.read() == b"y"


def test_lost_frames_are_reported_once_and_a_keyframe_requested() -> None:
    client = Client()
    client.feed.follow(True)
    client.put(b"K", key=True)
    assert client.read() == b"K"
    for _ in range(9):
        client.put(b"p")
    assert client.read() == b""
    assert client.needs == 1
    client.put(b"K", key=True)
    assert client.read() == b"K"
    assert (client.lost, client.needs) == ([9], 1)


def test_the_end_comes_once_and_after_everything_else() -> None:
    client = Client(ends=True)
    client.put(b"0", key=True)
    client.feed.follow(True)
    client.ring.end = b" the end"
    client.feed.send(lambda: b"a reply ")
    assert client.read() == b"a reply 0 the end"
    assert client.read() == b""


def test_the_end_comes_without_frames_to_who_does_not_follow_and_to_nobody_unasked() -> None:
    for ends in (True, False):
        client = Client(ends=ends)
        client.put(b"0", key=True)
        client.ring.end = b"the end"
        assert client.read() == (b"the end" if ends else b"")
