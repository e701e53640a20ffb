from __future__ import annotations

import os
import socket
import time

from common.fanout.tcp import places
from common.fanout.tcp.places import local_place
from common.sharing.hosts import FOLDER, reclaim

# sun_path of unix(7), without the final zero.
LONGEST = 107


def test_is_the_same_for_all_who_ask_for_the_same() -> None:
    assert local_place("cam", "0123.bgr") == local_place("cam", "0123.bgr")


def test_differs_with_the_stream_and_with_what_is_shared() -> None:
    asked = [("cam", "0123.bgr"), ("door", "0123.bgr"), ("cam", "0123.i420"), ("cam", "4567.bgr")]
    assert len({local_place(*one) for one in asked}) == len(asked)


def test_lies_with_the_pictures_and_is_known_as_ours() -> None:
    place = local_place("cam", "0123.bgr")
    assert place.parent == FOLDER
    assert place.name.startswith("fanlight-")
    assert place.suffix == ".sock"


def test_is_never_too_long_for_a_socket() -> None:
    assert len(str(local_place("s" * 64, "x" * 200)).encode()) <= LONGEST


def test_is_not_taken_for_pictures_that_were_left_behind() -> None:
    place = local_place("a-test-of-places", "0123.bgr")
    place.touch()
    try:
        reclaim()
        assert place.exists()
    finally:
        place.unlink()


def test_only_old_sockets_where_nobody_listens_are_deleted() -> None:
    """What a hub leaves that was killed; not that of one that lives, nor of one that is just starting."""
    alive, dead, young = (local_place(f"a-test-of-{what}", "x") for what in ("alive", "dead", "young"))
    old_s = time.time() - 60
    with socket.socket(socket.AF_UNIX) as living:
        try:
            living.bind(str(alive))
            living.listen()
            for place in (dead, young):
                with socket.socket(socket.AF_UNIX) as killed:
                    killed.bind(str(place))
            for place in (alive, dead):
                os.utime(place, (old_s, old_s))
            places.reclaim()
            assert (alive.exists(), dead.exists(), young.exists()) == (True, False, True)
        finally:
            for place in (alive, dead, young):
                place.unlink(missing_ok=True)
