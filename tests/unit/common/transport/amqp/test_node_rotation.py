from __future__ import annotations

import random

import pytest

from fanlight.common.transport.amqp.node_rotation import PROBE_S, Host, HostRotation, NodeLiveness

A, B, C = ("a", 1), ("b", 2), ("c", 3)
SECOND_NS = 1_000_000_000


def rotation(*hosts: Host, seed: int = 0) -> HostRotation:
    return HostRotation(hosts or (A, B, C), random.Random(seed))


def stands(hosts: HostRotation, at_s: float = 0.0, for_s: float = 10.0) -> int:
    """Let it stand for a while; returns the time after it."""
    hosts.established(int(at_s * SECOND_NS))
    return int((at_s + for_s) * SECOND_NS)


def test_links_begin_at_hosts_drawn_at_random() -> None:
    first = [rotation(seed=seed).current for seed in range(300)]
    assert {first.count(host) > 50 for host in (A, B, C)} == {True}


def test_every_other_host_is_tried_at_once_and_the_lost_one_last() -> None:
    hosts = rotation()
    lost = hosts.current
    now_ns = stands(hosts)
    tried = []
    for _ in range(2):
        assert hosts.failed(now_ns) <= 0.05
        tried.append(hosts.current)
    assert {*tried, lost} == {A, B, C}
    delay_s = hosts.failed(now_ns)
    assert hosts.current == lost
    assert 0.05 <= delay_s <= 0.1


def test_those_that_lost_the_same_host_do_not_come_in_the_same_instant() -> None:
    delays = []
    for seed in range(100):
        hosts = rotation(seed=seed)
        delays.append(hosts.failed(stands(hosts)))
    assert len(set(delays)) == 100
    assert max(delays) > 0.04


def test_delays_grow_from_round_to_round_up_to_two_seconds() -> None:
    hosts = rotation()
    delays = [hosts.failed(0) for _ in range(60)]
    ends = delays[2::3]
    assert ends[0] <= 0.1
    assert ends[3] > 0.15
    assert 1.0 <= ends[-1] <= 2.0
    assert max(delays[0::3] + delays[1::3]) <= 0.05


def test_a_host_that_throws_everybody_out_does_not_keep_its_clients_busy() -> None:
    hosts = rotation()
    assert hosts.failed(stands(hosts, for_s=0.5)) >= 0.05
    assert hosts.failed(stands(hosts, for_s=1.5)) <= 0.05


def test_a_silent_host_costs_one_and_a_half_seconds_and_more_only_if_all_are_silent() -> None:
    hosts = rotation()
    waits = []
    for _ in range(9):
        waits.append(hosts.timeout_s)
        hosts.failed(0)
    assert waits == [1.5] * 3 + [3.0] * 3 + [5.0] * 3
    hosts.established(0)
    assert hosts.timeout_s == 1.5


def test_a_single_host_is_waited_for_longer() -> None:
    assert rotation(A).timeout_s == 5.0


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_refusal_is_final_when_every_host_has_said_so(count: int) -> None:
    hosts = rotation(*(A, B, C)[:count])
    answers = []
    for _ in range(count):
        answers.append(hosts.refused())
        hosts.failed(0)
    assert answers == [False] * (count - 1) + [True]


def test_the_same_host_that_says_no_twice_is_still_one() -> None:
    hosts = rotation(A, B)
    assert not hosts.refused()
    assert not hosts.refused()


def test_refusals_are_forgotten_once_a_host_has_let_us_in() -> None:
    hosts = rotation(A, B)
    hosts.refused()
    hosts.failed(0)
    hosts.established(0)
    assert not hosts.refused()


def test_a_url_that_names_a_host_twice_is_no_obstacle() -> None:
    hosts = rotation(A, A)
    assert hosts.refused()


def test_what_does_not_concern_the_host_does_not_change_it() -> None:
    hosts = rotation()
    here = hosts.current
    assert 0.05 <= hosts.same_host_delay_s() <= 0.1
    assert hosts.current == here


def looks(*received_bytes: int, excused: bool = False) -> list[tuple[bool, bool]]:
    liveness = NodeLiveness()
    return [(liveness.ask(count, excused=excused), liveness.dead) for count in received_bytes]


def test_a_node_that_says_something_is_neither_asked_nor_left() -> None:
    assert looks(0, 5, 6, 7, 8, 9, 10) == [(False, False)] * 7


def test_a_silent_node_is_asked_once_and_left_after_2_seconds_more() -> None:
    assert looks(5, 5, 5, 5, 5, 5) == [(False, False), (True, False), *[(False, False)] * 3, (False, True)]
    assert 2 <= 4 * PROBE_S <= 3


def test_a_node_that_answers_is_asked_again_when_it_pauses_again() -> None:
    assert [asked for asked, _ in looks(5, 5, 9, 9, 9, 12)] == [False, True, False, True, False, False]


def test_a_node_that_is_blocked_is_excused() -> None:
    assert looks(*[5] * 8, excused=True) == [(False, False)] * 8
