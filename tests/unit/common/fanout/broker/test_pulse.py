from __future__ import annotations

from common.fanout.broker.pulse import Pulse, Verdict


def looks(pulse: Pulse, *received: int, excused: bool = False) -> list[Verdict]:
    return [pulse.look(count, excused=excused) for count in received]


def test_a_node_that_sends_is_left_alone() -> None:
    assert looks(Pulse(), *range(100)) == [Verdict.NOTHING] * 100


def test_silence_is_asked_about_once_and_then_left() -> None:
    assert looks(Pulse(), 7, 7, 7, 7, 7, 7) == [
        Verdict.NOTHING,
        Verdict.ASK,
        Verdict.NOTHING,
        Verdict.NOTHING,
        Verdict.NOTHING,
        Verdict.LEAVE,
    ]


def test_an_answer_begins_anew() -> None:
    pulse = Pulse()
    looks(pulse, 7, 7, 7, 7, 7)
    assert looks(pulse, 8, 8) == [Verdict.NOTHING, Verdict.ASK]


def test_a_quiet_node_that_answers_every_question_is_never_left() -> None:
    pulse, received, verdicts = Pulse(), 0, []
    for _ in range(100):
        verdicts.append(pulse.look(received, excused=False))
        received += verdicts[-1] is Verdict.ASK
    assert Verdict.LEAVE not in verdicts
    assert verdicts.count(Verdict.ASK) >= 40


def test_a_node_that_said_it_would_not_answer_is_excused() -> None:
    pulse = Pulse()
    assert looks(pulse, *[7] * 20, excused=True) == [Verdict.NOTHING] * 20
    assert looks(pulse, 7, 7, 7, 7, 7)[-1] is Verdict.LEAVE
