from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.changeover import BEAT_TIMEOUT_NS, LOOK_AFTER_S, Changeover, Via, via_value

MS = 1_000_000
BEGAN = 7_000_000 * MS
# After so long without a word of a hub that is said to be there, it is given up.
FIRST = 500 * MS


def begun(via: Via = Via.AUTO, *, hub_there: bool = True, referred: bool = False) -> Changeover:
    """One whose subscription stands since `BEGAN`."""
    changeover = Changeover(via, hub_there=hub_there)
    changeover.joined(BEGAN)
    if referred:
        changeover.referred()
    return changeover


@pytest.mark.parametrize(
    ("via", "hub_there", "follows", "looks"),
    [
        (Via.AUTO, False, True, True),
        (Via.AUTO, True, False, True),
        (Via.BROKER, False, True, False),
        (Via.BROKER, True, True, False),
        (Via.HOST, False, False, False),
        (Via.HOST, True, False, False),
    ],
)
def test_it_begins_by_the_way_it_is_told_or_the_one_there_is(
    via: Via, hub_there: bool, follows: bool, looks: bool
) -> None:
    changeover = begun(via, hub_there=hub_there)
    assert changeover.follows_stream == follows
    assert changeover.looks_for_hub == looks


def test_the_stream_is_left_with_the_first_reference() -> None:
    changeover = begun(hub_there=False)
    assert [changeover.referred() for _ in range(3)] == [True, False, False]
    assert not changeover.follows_stream


def test_references_from_a_hub_that_was_known_change_nothing() -> None:
    changeover = begun()
    assert not changeover.referred()
    assert not changeover.follows_stream


@pytest.mark.parametrize(("via", "follows"), [(Via.BROKER, True), (Via.HOST, False)])
def test_a_way_that_was_asked_for_stays(via: Via, follows: bool) -> None:
    changeover = begun(via)
    for _ in range(2):
        assert not changeover.silence(BEGAN + 3600 * 1000 * MS, hub_alive=False, beat_ns=None)
        assert not changeover.silence(BEGAN + 3600 * 1000 * MS, hub_alive=False, beat_ns=0)
        assert changeover.follows_stream == follows
        assert not changeover.referred()
        assert changeover.follows_stream == follows


def test_a_hub_that_never_says_a_word_is_given_up_after_half_a_second() -> None:
    changeover = begun()
    assert not changeover.silence(BEGAN + FIRST - 1, hub_alive=False, beat_ns=None)
    assert [changeover.follows_stream] == [False]
    assert changeover.silence(BEGAN + FIRST, hub_alive=False, beat_ns=None)
    assert changeover.follows_stream
    assert not changeover.silence(BEGAN + FIRST, hub_alive=False, beat_ns=None), "it is no change"


@pytest.mark.parametrize("referred", [False, True])
def test_nothing_is_given_up_before_the_subscription_stands(referred: bool) -> None:
    changeover = Changeover(Via.AUTO, hub_there=True)
    if referred:
        changeover.referred()
    assert not changeover.silence(BEGAN + 3600 * 1000 * MS, hub_alive=False, beat_ns=None)
    assert not changeover.follows_stream
    changeover.joined(BEGAN + 3600 * 1000 * MS)
    assert not changeover.silence(BEGAN + 3600 * 1000 * MS + FIRST - 1, hub_alive=False, beat_ns=None)
    assert changeover.silence(BEGAN + 3600 * 1000 * MS + FIRST, hub_alive=False, beat_ns=None)


def test_a_subscription_that_stands_anew_gives_the_hub_its_time_anew() -> None:
    changeover = begun()
    changeover.joined(BEGAN + FIRST)
    assert not changeover.silence(BEGAN + 2 * FIRST - 1, hub_alive=False, beat_ns=None)
    assert changeover.silence(BEGAN + 2 * FIRST, hub_alive=False, beat_ns=None)


def test_a_subscription_that_stands_anew_does_not_bring_back_a_hub_that_is_dead() -> None:
    changeover = begun(referred=True)
    changeover.joined(BEGAN + FIRST)
    assert changeover.silence(BEGAN + FIRST, hub_alive=False, beat_ns=BEGAN)


def test_what_could_not_be_used_is_no_word() -> None:
    """A segment was mapped and refused: it has a beat, and no reference could be used."""
    changeover = begun()
    now_ns = BEGAN + FIRST
    assert changeover.silence(now_ns, hub_alive=True, beat_ns=now_ns)


@pytest.mark.parametrize(
    ("age_ns", "alive", "lost"),
    [
        (0, True, False),
        (BEAT_TIMEOUT_NS, True, False),
        (BEAT_TIMEOUT_NS + 1, True, True),
        (0, False, True),
        (BEAT_TIMEOUT_NS + 1, False, True),
        (-MS, True, False),
    ],
)
def test_a_hub_is_lost_when_it_is_dead_or_has_not_beaten_for_long(
    age_ns: int, alive: bool, lost: bool
) -> None:
    changeover = begun(referred=True)
    now_ns = BEGAN + 10_000 * MS
    assert changeover.silence(now_ns, hub_alive=alive, beat_ns=now_ns - age_ns) == lost
    assert changeover.follows_stream == lost


def test_a_hub_without_frames_is_not_lost_as_long_as_it_beats() -> None:
    changeover = begun(referred=True)
    for second in range(3600):
        now_ns = BEGAN + second * 1000 * MS
        assert not changeover.silence(now_ns, hub_alive=True, beat_ns=now_ns - 100 * MS)
    assert not changeover.follows_stream


def test_a_hub_that_was_closed_is_lost_by_its_beat() -> None:
    changeover = begun(referred=True)
    assert changeover.silence(BEGAN, hub_alive=True, beat_ns=0)


def test_it_comes_back_to_a_hub_and_loses_it_again() -> None:
    changeover = begun(referred=True)
    for n in range(3):
        now_ns = BEGAN + n * 1000 * MS
        assert changeover.silence(now_ns, hub_alive=False, beat_ns=now_ns)
        assert changeover.referred()
        assert not changeover.silence(now_ns, hub_alive=True, beat_ns=now_ns)
        assert not changeover.follows_stream


def test_it_looks_more_often_than_a_hub_can_be_missed() -> None:
    assert LOOK_AFTER_S * 1e9 < FIRST < BEAT_TIMEOUT_NS


words = st.sampled_from(["reference", "joined"])
silences = st.tuples(
    st.integers(0, 2000 * MS), st.booleans(), st.none() | st.integers(-2000 * MS, 2000 * MS)
)


@given(st.sampled_from(Via), st.booleans(), st.lists(words | silences, max_size=60))
def test_what_it_says_of_a_change_is_true_and_no_way_is_taken_that_was_not_asked_for(
    via: Via, hub_there: bool, events: list[str | tuple[int, bool, int | None]]
) -> None:
    changeover = Changeover(via, hub_there=hub_there)
    now_ns = BEGAN
    joined_ns: int | None = None
    for event in events:
        before = changeover.follows_stream
        if event == "joined":
            joined_ns, changed = now_ns, False
            changeover.joined(now_ns)
        elif isinstance(event, str):
            changed = changeover.referred()
            assert changeover.follows_stream == (via is Via.BROKER)
        else:
            pause_ns, alive, beat_ago_ns = event
            now_ns += pause_ns
            beat_ns = None if beat_ago_ns is None else now_ns - beat_ago_ns
            changed = changeover.silence(now_ns, hub_alive=alive, beat_ns=beat_ns)
            assert changeover.follows_stream >= before, "silence alone never ends the stream"
            if via is Via.AUTO and joined_ns is not None and now_ns >= joined_ns + FIRST:
                beats = alive and beat_ago_ns is not None and beat_ago_ns <= BEAT_TIMEOUT_NS
                assert beats or changeover.follows_stream, "it never waits for a hub that is gone"
        assert changed == (changeover.follows_stream != before)
        if via is not Via.AUTO:
            assert not changed
            assert changeover.follows_stream == (via is Via.BROKER)


@pytest.mark.parametrize("via", Via)
def test_a_way_is_read_by_its_name(via: Via) -> None:
    assert via_value(str(via)) is via


@pytest.mark.parametrize("text", ["", "AUTO", "hub", "auto "])
def test_an_unknown_way_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"^auto or broker or host$"):
        via_value(text)
