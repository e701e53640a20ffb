"""Every fault: how it begins, how it ends, and how soon after that fresh frames have to come again."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

from fanlight.common.transport.amqp import topology
from scripts.faults.judge import STEP_NS
from scripts.faults.member import Member
from scripts.faults.rig import HUB, PRODUCER, RECORDER, STREAM, Rig
from scripts.lib.fault_control import Mode
from scripts.private_node import VHOST

_QUICK_S: Final = 2.0
_SLOW_S: Final = 5.0
_NODE_S: Final = 60.0
_NONE: Final = "0.0000001"
_ENOUGH: Final = "0.4"
_DISK_ENOUGH: Final = "50MB"


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind.

    Attributes:
        run: a context: the fault begins on the way in and has ended on the way out.
        hold_s: for how long it is there: shortest and longest; 0 for what is over at once.
        limit_s: within which fresh frames have to come again after its end.
        weight: how often it is drawn, compared with the others.
        needs: what the rig must have for it: `network`, `disk`, or nothing.
    """

    name: str
    run: Callable[[Rig, random.Random], AbstractContextManager[None]]
    hold_s: tuple[float, float] = (0.0, 0.0)
    limit_s: float = _QUICK_S
    weight: int = 2
    needs: str = ""


def _consumer(rig: Rig, rng: random.Random) -> Member:
    return rng.choice([member for member in rig.consumers if member.stream == STREAM])


# Processes ---------------------------------------------------------------------------------------------


@contextmanager
def _killed(rig: Rig, member: Member) -> Iterator[None]:
    member.kill()
    yield
    rig.start(member)


@contextmanager
def _suspended(member: Member) -> Iterator[None]:
    member.signal(signal.SIGSTOP)
    yield
    member.signal(signal.SIGCONT)


# The broker --------------------------------------------------------------------------------------------


@contextmanager
def _broker_killed(rig: Rig, *, empty: bool) -> Iterator[None]:
    rig.node.kill()
    yield
    rig.node.restart(timeout_s=_NODE_S, empty=empty)


@contextmanager
def _broker_suspended(rig: Rig) -> Iterator[None]:
    rig.node.suspend()
    yield
    rig.node.resume()


@contextmanager
def _ctl(rig: Rig, *arguments: str) -> Iterator[None]:
    rig.node.ctl(*arguments)
    yield


@contextmanager
def _alarm(rig: Rig, setting: str, raised: str, cleared: str) -> Iterator[None]:
    rig.node.ctl(setting, raised)
    yield
    rig.node.ctl(setting, cleared)


def _queue(rig: Rig, rng: random.Random) -> str:
    """A queue of one of the consumers of the stream."""
    prefix = topology.consumer_tag(STREAM, "")
    lines = rig.node.ctl("list_consumers", "-p", VHOST, "queue_name", "consumer_tag").splitlines()
    queues = (line.split("\t") for line in lines)
    return rng.choice(sorted(queue for queue, tag in queues if tag.startswith(prefix)))


def _erlang(rig: Rig, call: str) -> None:
    rig.node.ctl("eval", f"{call}.")


@contextmanager
def _queue_unbound(rig: Rig, rng: random.Random) -> Iterator[None]:
    # Exclusive queues are closed to other connections: what the console's button does, done by hand.
    queue, vhost = _queue(rig, rng), VHOST
    _erlang(
        rig,
        f'X = rabbit_misc:r(<<"{vhost}">>, exchange, <<"{topology.exchange(STREAM)}">>), '
        f'Q = rabbit_misc:r(<<"{vhost}">>, queue, <<"{queue}">>), '
        '[rabbit_binding:remove(B, <<"soak">>) '
        "|| B <- rabbit_binding:list_for_source_and_destination(X, Q)]",
    )
    yield


@contextmanager
def _exchange_deleted(rig: Rig) -> Iterator[None]:
    _erlang(
        rig,
        f'rabbit_exchange:delete(rabbit_misc:r(<<"{VHOST}">>, exchange, '
        f'<<"{topology.exchange(STREAM)}">>), false, <<"soak">>)',
    )
    yield


# The network -------------------------------------------------------------------------------------------


@contextmanager
def _cut(rig: Rig, rng: random.Random) -> Iterator[None]:
    path = rng.choice([rig.producer_path, rig.remote_path])
    path.proxy.cut(refuse=True)
    yield
    path.proxy.admit()


@contextmanager
def _jittery(rig: Rig, rng: random.Random) -> Iterator[None]:
    path = rng.choice([rig.producer_path, rig.remote_path])
    path.proxy.jitter_s = 0.1
    yield
    path.proxy.jitter_s = 0.0


@contextmanager
def _dropped(rig: Rig) -> Iterator[None]:
    assert rig.network is not None
    rig.network.link.drop(True)
    yield
    rig.network.link.clear()


@contextmanager
def _lossy(rig: Rig) -> Iterator[None]:
    assert rig.network is not None
    rig.network.link.loss(0.05)
    yield
    rig.network.link.clear()


@contextmanager
def _narrow(rig: Rig) -> Iterator[None]:
    assert rig.network is not None
    rig.network.link.rate("1mbit")
    yield
    rig.network.link.clear()


# Machine and source ------------------------------------------------------------------------------------


@contextmanager
def _clock_stepped(member: Member, rng: random.Random) -> Iterator[None]:
    # Over at once: it does not go back.
    member.control.clock_offset_ns += rng.choice((-STEP_NS, STEP_NS))
    yield


@contextmanager
def _disk_full(rig: Rig) -> Iterator[None]:
    rig.disk.fill()
    yield
    rig.disk.free()
    rig.disk.clear(keep=f"{RECORDER}-{rig.members[RECORDER].lives}")


@contextmanager
def _no_descriptors(rig: Rig, member: Member) -> Iterator[None]:
    member.limit_descriptors(0)
    rig.node.ctl("close_all_connections", "-p", VHOST, "soak")
    yield
    member.limit_descriptors(None)


@contextmanager
def _source(rig: Rig, mode: Mode) -> Iterator[None]:
    control = rig.members[PRODUCER].control
    control.mode = mode
    yield
    control.mode = Mode.STEADY


_SHORT: Final = (0.2, 2.0)
_LONG: Final = (0.5, 6.0)

FAULTS: Final = (
    Fault("producer killed", lambda rig, _: _killed(rig, rig.members[PRODUCER]), (0.0, 1.5)),
    Fault("producer suspended", lambda rig, _: _suspended(rig.members[PRODUCER]), _LONG),
    Fault("consumer killed", lambda rig, rng: _killed(rig, _consumer(rig, rng)), (0.0, 1.0)),
    Fault("consumer suspended", lambda rig, rng: _suspended(_consumer(rig, rng)), _LONG),
    Fault("hub killed", lambda rig, _: _killed(rig, rig.members[HUB]), (0.0, 2.0)),
    Fault("hub suspended", lambda rig, _: _suspended(rig.members[HUB]), _LONG),
    Fault("broker killed", lambda rig, _: _broker_killed(rig, empty=False), (0.0, 1.0), _SLOW_S, 1),
    Fault("broker restarted empty", lambda rig, _: _broker_killed(rig, empty=True), (0.0, 0.5), _SLOW_S, 1),
    Fault("broker suspended", lambda rig, _: _broker_suspended(rig), _LONG),
    Fault("connections closed", lambda rig, _: _ctl(rig, "close_all_connections", "-p", VHOST, "soak")),
    Fault("queue deleted",
          lambda rig, rng: _ctl(rig, "delete_queue", "-p", VHOST, _queue(rig, rng)), weight=1),
    Fault("queue purged",
          lambda rig, rng: _ctl(rig, "purge_queue", "-p", VHOST, _queue(rig, rng)), weight=1),
    Fault("queue unbound", _queue_unbound, weight=1),
    Fault("exchange deleted", lambda rig, _: _exchange_deleted(rig), weight=1),
    Fault("memory alarm",
          lambda rig, _: _alarm(rig, "set_vm_memory_high_watermark", _NONE, _ENOUGH), _LONG, weight=1),
    Fault("disk alarm",
          lambda rig, _: _alarm(rig, "set_disk_free_limit", "100000GB", _DISK_ENOUGH), _LONG, weight=1),
    Fault("connection cut", _cut, _SHORT),
    Fault("jitter of 100 ms", _jittery, (1.0, 4.0)),
    Fault("packets dropped", lambda rig, _: _dropped(rig), (0.5, 8.0), needs="network"),
    Fault("loss of 5 %", lambda rig, _: _lossy(rig), (1.0, 4.0), needs="network"),
    Fault("1 Mbit/s", lambda rig, _: _narrow(rig), (1.0, 4.0), needs="network"),
    Fault("producer's clock stepped", lambda rig, rng: _clock_stepped(rig.members[PRODUCER], rng)),
    Fault("consumer's clock stepped", lambda rig, rng: _clock_stepped(_consumer(rig, rng), rng)),
    Fault("disk full", lambda rig, _: _disk_full(rig), _LONG, needs="disk"),
    Fault("no descriptors, producer",
          lambda rig, _: _no_descriptors(rig, rig.members[PRODUCER]), _LONG, weight=1),
    Fault("no descriptors, consumer",
          lambda rig, rng: _no_descriptors(rig, _consumer(rig, rng)), _LONG, weight=1),
    Fault("source stalled", lambda rig, _: _source(rig, Mode.STALLED), _SHORT, weight=1),
    Fault("source floods", lambda rig, _: _source(rig, Mode.FLOODING), _SHORT, weight=1),
    Fault("source changes size", lambda rig, _: _source(rig, Mode.SMALL), _SHORT, weight=1),
    Fault("encoder refuses", lambda rig, _: _source(rig, Mode.REFUSED), _SHORT, weight=1),
)  # fmt: skip


def drawn(rng: random.Random, usable: list[Fault]) -> Fault:
    """The next one."""
    return rng.choices(usable, [fault.weight for fault in usable])[0]


def hold(fault: Fault, rng: random.Random, *, brisk: bool) -> None:
    """Let it last; if `brisk`, no longer than it has to."""
    time.sleep(fault.hold_s[0] if brisk else rng.uniform(*fault.hold_s))
