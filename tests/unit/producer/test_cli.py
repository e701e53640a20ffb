from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from fanlight.producer import cli
from fanlight.producer.stats import ProducerCounters, ProducerStats

NOTHING = ProducerCounters().stats(0)


@pytest.mark.parametrize(
    ("stats", "told"),
    [
        (NOTHING, ""),
        (replace(NOTHING, published=100, skipped=3, stale=2), ""),
        (replace(NOTHING, unencodable=4), ", 4 could not be encoded"),
        (replace(NOTHING, unreadable=5, limited=6), ", 5 unreadable, 6 beyond the rate of --fps"),
        (replace(NOTHING, unsent=3), ", 3 frames not sent in time"),
        (replace(NOTHING, refused=2), ", 2 refused"),
        (replace(NOTHING, unsent=1, refused=1), ", 1 frames not sent in time, 1 refused"),
    ],
)
def test_what_happened_to_clients_is_told_if_anything_did(stats: ProducerStats, told: str) -> None:
    assert cli._seldom(stats) == told


def test_it_is_the_end_of_the_last_line(caplog: pytest.LogCaptureFixture) -> None:
    stats = replace(NOTHING, published=7, captured=9, skipped=2, keyframes=1, published_bytes=1_500_000)
    with caplog.at_level(logging.INFO, logger="producer"):
        cli._report(stats)
        cli._report(replace(stats, refused=4))
    line = "published 7 of 9 pictures (2 skipped, 0 unwatched, 0 stale), 1 keyframes, 1.5 MB"
    assert caplog.messages == [line, f"{line}, 4 refused"]
