from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from fanlight.producer import cli
from fanlight.producer.stats import ProducerCounters, ProducerStats

NOTHING = ProducerCounters().stats(0)


@pytest.mark.parametrize(
    ("stats", "unusual"),
    [
        (NOTHING, ""),
        (replace(NOTHING, unencodable=4), ", 4 could not be encoded"),
        (replace(NOTHING, unreadable=5, limited=6), ", 5 unreadable, 6 beyond the rate of --fps"),
        (replace(NOTHING, unsent=1, refused=2), ", 1 frames not sent in time, 2 refused"),
    ],
)
def test_the_last_line_has_the_usual_figures_and_others_if_there_are_any(
    stats: ProducerStats, unusual: str, caplog: pytest.LogCaptureFixture
) -> None:
    usual = replace(stats, published=7, captured=9, skipped=2, keyframes=1, published_bytes=1_500_000)
    with caplog.at_level(logging.INFO, logger="fanlight.producer"):
        cli._report(usual)
    line = "published 7 of 9 pictures (2 skipped, 0 unwatched, 0 stale), 1 keyframes, 1.5 MB"
    assert caplog.messages == [line + unusual]
