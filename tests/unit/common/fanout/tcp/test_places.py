from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from common.address import Design, TcpAddress
from common.fanout.tcp import places
from common.fanout.tcp.places import local_place
from common.sharing.hosts import FOLDER, reclaim

# sun_path of unix(7), without the final zero.
LONGEST = 107
ADDRESS = TcpAddress(Design.THREADS, "localhost", 7000)


def place(stream: str, share: str) -> Path:
    return local_place(ADDRESS, stream, share)


def test_is_the_same_for_all_who_ask_for_the_same() -> None:
    assert place("cam", "0123.bgr") == place("cam", "0123.bgr")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::"])  # noqa: S104
def test_is_the_same_however_this_machine_is_called(host: str) -> None:
    address = TcpAddress(Design.MULTIPLEX, host, 7000)
    assert local_place(address, "cam", "0123.bgr") == place("cam", "0123.bgr")


def test_two_producers_of_one_name_have_hubs_of_their_own() -> None:
    others = [TcpAddress(Design.THREADS, "localhost", 7001), TcpAddress(Design.THREADS, "camera", 7000)]
    assert len({local_place(one, "cam", "0123.bgr") for one in (ADDRESS, *others)}) == 3


def test_differs_with_the_stream_and_with_what_is_shared() -> None:
    asked = [("cam", "0123.bgr"), ("door", "0123.bgr"), ("cam", "0123.i420"), ("cam", "4567.bgr")]
    assert len({place(*one) for one in asked}) == len(asked)


def test_lies_with_the_pictures_and_is_known_as_ours() -> None:
    found = place("cam", "0123.bgr")
    assert found.parent == FOLDER
    assert found.name.startswith("fanlight-")
    assert found.suffix == ".sock"


def test_is_never_too_long_for_a_socket() -> None:
    assert len(str(place("s" * 64, "x" * 200)).encode()) <= LONGEST


def test_is_not_taken_for_pictures_that_were_left_behind() -> None:
    found = place("a-test-of-places", "0123.bgr")
    found.touch()
    try:
        reclaim()
        assert found.exists()
    finally:
        found.unlink()


def test_only_old_sockets_where_nobody_listens_are_deleted() -> None:
    """What a hub leaves that was killed; not that of one that lives, nor of one that is just starting."""
    alive, dead, young = (place(f"a-test-of-{what}", "x") for what in ("alive", "dead", "young"))
    old_s = time.time() - 60
    with socket.socket(socket.AF_UNIX) as living:
        try:
            living.bind(str(alive))
            living.listen()
            for one in (dead, young):
                with socket.socket(socket.AF_UNIX) as killed:
                    killed.bind(str(one))
            for one in (alive, dead):
                os.utime(one, (old_s, old_s))
            places.reclaim()
            assert (alive.exists(), dead.exists(), young.exists()) == (True, False, True)
        finally:
            for one in (alive, dead, young):
                one.unlink(missing_ok=True)
