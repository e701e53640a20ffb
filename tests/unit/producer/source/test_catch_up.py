from __future__ import annotations

import itertools

import pytest

from fanlight.producer.source.catch_up import CatchUp

MS = 1_000_000


def decoded(
    waits_ms: list[float], *, decoding_ms: float, intra_only: bool = True, gop: int = 1
) -> list[int]:
    """Which packets of a 25 fps stream are decoded, if each is waited for that long."""
    catch_up = CatchUp(40 * MS, intra_only=intra_only)
    now_ns, numbers = 10**12, []
    for number, wait_ms in enumerate(waits_ms):
        requested_ns, now_ns = now_ns, now_ns + int(wait_ms * MS)
        if not catch_up.skips(requested_ns=requested_ns, arrived_ns=now_ns, key=number % gop == 0):
            numbers.append(number)
            now_ns += int(decoding_ms * MS)
    return numbers


@pytest.mark.parametrize("intra_only", [True, False])
def test_a_few_at_once_are_decoded(intra_only: bool) -> None:
    waits_ms = [300.0, *[0.1] * 7] * 20
    assert decoded(waits_ms, decoding_ms=9, intra_only=intra_only, gop=30) == [*range(160)]


def test_a_flood_of_intra_frames_is_decoded_at_the_nominal_rate() -> None:
    # 1000 arrive in about half a second; decoding them all would take five.
    assert 8 + 10 <= len(decoded([0.5] * 1000, decoding_ms=5)) <= 8 + 20
    assert decoded([0.5] * 8, decoding_ms=5) == [*range(8)]


def test_of_a_flood_of_inter_frames_whole_gops_are_skipped() -> None:
    numbers = decoded([0.5] * 1000, decoding_ms=5, intra_only=False, gop=100)
    assert len(numbers) < 700
    # What is decoded after a gap begins with a keyframe.
    assert all(later % 100 == 0 for early, later in itertools.pairwise(numbers) if later != early + 1)


def test_after_a_flood_every_picture_is_decoded_again() -> None:
    assert decoded([0.5] * 100 + [40.0] * 50, decoding_ms=5)[-50:] == [*range(100, 150)]
