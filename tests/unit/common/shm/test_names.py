from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight.common.model.address import parse_url
from fanlight.common.model.pixels import FULL_BGR, PictureFormat, PixelFormat
from fanlight.common.shm.names import RingName, is_ours, source_of

NAME = "cam.bgr.0123abcd.deadbeef"
LOCK = "cam.bgr.0123abcd.lock"

hexes = st.integers(0, 2**32 - 1).map("{:08x}".format)
sides = st.integers(1, 16384)
rings = st.builds(
    RingName,
    st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    st.builds(PictureFormat, st.sampled_from(PixelFormat), st.none() | st.tuples(sides, sides)),
    hexes,
)


# Files ---------------------------------------------------------------------------------------------------


def test_a_name_says_what_is_in_the_file() -> None:
    ring = RingName("cam", FULL_BGR, "0123abcd")
    assert (ring.prefix, ring.segment("deadbeef"), ring.lock) == ("cam.bgr.0123abcd.", NAME, LOCK)
    small = RingName("a_B-1", PictureFormat(PixelFormat.GREY, (640, 360)), "00000000")
    assert small.segment("00000001") == "a_B-1.grey-640x360.00000000.00000001"


@given(rings, hexes)
def test_the_files_of_every_ring_are_ours(ring: RingName, suffix: str) -> None:
    assert is_ours(ring.segment(suffix))
    assert is_ours(ring.lock)
    assert len(ring.segment(suffix)) <= 255


@given(rings, rings, hexes)
def test_no_file_belongs_to_two_rings(one: RingName, other: RingName, suffix: str) -> None:
    for name in (one.segment(suffix), one.lock):
        assert name.startswith(other.prefix) == (one == other)


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", f"../{NAME}", f"/etc/{NAME}", f"./{NAME}", f"{NAME}/..", f"{NAME}\n", f"{NAME}\0",
        f" {NAME}", f"x.{NAME}", f".{NAME}", NAME.upper(), NAME.replace(".", "x"), NAME.replace("cam", ""),
        NAME.replace("cam", "c" * 65), NAME.replace(".bgr", ""), NAME.replace(".0123abcd", ""),
        NAME.replace("deadbeef", "DEADBEEF"), NAME[:-1], f"{NAME}0", f"{LOCK}x", f"{LOCK}.lock", "lock",
        "fanlight.1.cam.bgr.0000000000005eed.0123abcd",
    ],
)  # fmt: skip
def test_any_other_name_is_not_ours(name: str) -> None:
    assert not is_ours(name)


@given(st.text(max_size=80))
def test_any_text_is_not_ours(name: str) -> None:
    assert not is_ours(name)


# Sources -------------------------------------------------------------------------------------------------


def source(url: str) -> str:
    return source_of(parse_url(url))


@pytest.mark.parametrize(
    "same",
    [
        ("amqp://localhost/video", "amqp://127.0.0.1:5672/video", "amqp://[::1]/video", "amqp://LocalHost/video"),
        ("amqp://localhost/video", "amqp://hub:secret@localhost/video", "amqp://viewer@localhost/video"),
        ("amqp://a,b:5673/", "amqp://b:5673,a:5672/", "amqp://A,B:5673/"),
        ("tcp+threads://:7000", "tcp+threads://127.0.0.1:7000", "tcp+threads://0.0.0.0:7000"),
        ("tcp+threads://camera:7000", "tcp+multiplex://camera:7000"),
    ],
)  # fmt: skip
def test_one_place_is_one_source_however_it_is_written(same: tuple[str, ...]) -> None:
    assert len({source(url) for url in same}) == 1


def test_other_places_are_other_sources() -> None:
    urls = [
        "amqp://localhost/video", "amqp://localhost/other", "amqp://localhost:5673/video", "amqp://a/video",
        "amqp://a,b/video", "tcp+threads://localhost:7000", "tcp+threads://localhost:7001",
        "tcp+threads://a:7000",
    ]  # fmt: skip
    found = {source(url) for url in urls}
    assert len(found) == len(urls)
    assert all(is_ours(RingName("cam", FULL_BGR, one).lock) for one in found)
