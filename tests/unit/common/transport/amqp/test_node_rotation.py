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


def test_links_begin_at_random_hosts_and_leave_them_at_random_instants() -> None:
    links = [rotation(seed=seed) for seed in range(300)]
    first = [hosts.current for hosts in links]
    assert {first.count(host) > 50 for host in (A, B, C)} == {True}
    delays = {hosts.failed(stands(hosts)) for hosts in links}
    assert len(delays) == 300
    assert max(delays) > 0.04


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


def test_a_silent_host_costs_1500_ms_and_more_only_if_all_are_silent() -> None:
    hosts = rotation()
    waits = []
    for _ in range(9):
        waits.append(hosts.timeout_s)
        hosts.failed(0)
    assert waits == [1.5] * 3 + [3.0] * 3 + [5.0] * 3
    hosts.established(0)
    assert hosts.timeout_s == 1.5
    assert rotation(A).timeout_s == 5.0, "there is no other"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_refusal_is_final_once_every_host_has_refused(count: int) -> None:
    hosts = rotation(*(A, B, C)[:count])
    answers = []
    for _ in range(count):
        answers.append(hosts.refused())
        hosts.failed(0)
    assert answers == [False] * (count - 1) + [True]


def test_the_same_host_counts_once_and_refusals_end_with_a_connection() -> None:
    hosts = rotation(A, B)
    assert [hosts.refused(), hosts.refused()] == [False, False]
    hosts.failed(0)
    hosts.established(0)
    assert not hosts.refused()
    assert rotation(A, A).refused()


def test_what_does_not_concern_the_host_does_not_change_it() -> None:
    hosts = rotation()
    here = hosts.current
    assert 0.05 <= hosts.same_host_delay_s() <= 0.1
    assert hosts.current == here


@pytest.mark.parametrize(
    ("received", "excused", "asked_at", "dead_at"),
    [
        ([0, 5, 6, 7, 8, 9, 10], False, [], []),
        ([5, 5, 5, 5, 5, 5], False, [1], [5]),
        ([5, 5, 9, 9, 9, 12], False, [1, 3], []),
        ([5] * 8, True, [], []),
    ],
    ids=["answers", "silent", "pauses", "blocked"],
)
def test_a_silent_node_is_asked_once_and_left_after_2_seconds_more(
    received: list[int], excused: bool, asked_at: list[int], dead_at: list[int]
) -> None:
    liveness = NodeLiveness()
    seen = [(liveness.ask(count, excused=excused), liveness.dead) for count in received]
    assert [at for at, (asked, _) in enumerate(seen) if asked] == asked_at
    assert [at for at, (_, dead) in enumerate(seen) if dead] == dead_at
    assert 2 <= 4 * PROBE_S <= 3
