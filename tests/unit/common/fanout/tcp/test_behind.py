from __future__ import annotations

from common.fanout.tcp.behind import ASK_EVERY_NS, Behind


def test_whoever_stays_behind_needs_a_keyframe_now_and_then() -> None:
    behind = Behind()
    steps = range(0, 2 * ASK_EVERY_NS + 1, ASK_EVERY_NS // 5)
    assert [at for at in steps if behind.needs_key(True, at)] == [ASK_EVERY_NS, 2 * ASK_EVERY_NS]


def test_whoever_catches_up_begins_anew() -> None:
    behind = Behind()
    assert not behind.needs_key(True, 0)
    assert not behind.needs_key(False, ASK_EVERY_NS - 1)
    assert not behind.needs_key(True, ASK_EVERY_NS)
    assert not behind.needs_key(True, 2 * ASK_EVERY_NS - 1)
    assert behind.needs_key(True, 2 * ASK_EVERY_NS)
