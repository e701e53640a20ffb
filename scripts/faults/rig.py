"""One producer, six consumers of mixed kinds, a second stream, and a real broker of their own."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from scripts.faults.judge import Judge
from scripts.faults.member import Level, Member
from scripts.faults.observation import unpack
from scripts.faults.small_disk import SmallDisk
from scripts.lib import netns
from scripts.lib.ports import free_ports
from scripts.lib.tcp_proxy import TcpProxy
from scripts.private_node import VHOST, PrivateNode

# Of two streams of one name on a host only one can have a hub: several rigs may run at once.
STREAM: Final = f"cam-{os.getpid()}"
OTHER: Final = f"other-{os.getpid()}"
MAX_AGE_S: Final = 0.5
_START_S: Final = 60.0
_DATAGRAM: Final = 512
_DISK_MIB: Final = 24

PRODUCER: Final = "producer"
HUB: Final = "hub"
RECORDER: Final = "recorder"
REMOTE: Final = "remote"


@dataclass(frozen=True, slots=True)
class _Path:
    """A way to the broker that can be disturbed."""

    proxy: TcpProxy
    url: str


_CONSUMERS: Final[dict[str, tuple[str, ...]]] = {
    # Shares for the host; shared and in step; shared and at once; by itself, small and grey; by itself and
    # in step, over a path that is disturbed; slow and recording.
    HUB: ("--sink", "share"),
    "wall": ("--playout", "sync", "--delay", "150ms"),
    "detector": (),
    "grey": ("--via", "broker", "--format", "grey", "--size", "320x180"),
    REMOTE: ("--via", "broker", "--playout", "sync", "--delay", "200ms"),
    RECORDER: ("--via", "broker", "--work", "60ms"),
}


class Rig:
    """Starts everything, collects observations of what is presented, ends everything.

    Args:
        namespaces: whether a network of its own can be made for one of the consumers; needs root.
    """

    def __init__(self, seed: int, *, namespaces: bool, codec: str = "h264", fps: int = 30) -> None:
        self.rng = random.Random(seed)
        self.judge = Judge(int(MAX_AGE_S * 1e9))
        self.observed = threading.Condition()
        self.folder = Path(tempfile.mkdtemp(prefix="fanlight-soak-"))
        self.members: dict[str, Member] = {}
        self._names: dict[int, Member] = {}
        self._stack = contextlib.ExitStack()
        self._namespaces = namespaces
        self._codec, self._fps = codec, fps
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._closing = False
        self._listener = threading.Thread(target=self._listen, name="listener", daemon=True)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def consumers(self) -> list[Member]:
        return [member for member in self.members.values() if member.role == "consumer"]

    def start(self, member: Member) -> None:
        """Begin a life of a member."""
        member.start()
        with self.observed:
            self._names[member.number] = member

    def wait_fresh(self, since_ns: int, timeout_s: float) -> int | None:
        """Wait until each consumer has presented a frame that was captured later than `since_ns`.

        Returns:
            When the last of them did (monotonic); None if one did not in time.
        """
        waiting = self.consumers
        latest_ns = since_ns

        def all_fresh() -> bool:
            nonlocal latest_ns
            for member in tuple(waiting):
                at_ns, captured_ns = self.judge.newest(member.number)
                if captured_ns > since_ns:
                    latest_ns = max(latest_ns, at_ns)
                    waiting.remove(member)
            return not waiting

        with self.observed:
            return latest_ns if self.observed.wait_for(all_fresh, timeout_s) else None

    def stale_members(self, since_ns: int) -> list[str]:
        """Consumers that have presented nothing captured later than `since_ns`."""
        with self.observed:
            return [m.name for m in self.consumers if self.judge.newest(m.number)[1] <= since_ns]

    def ended(self) -> list[str]:
        """Members that have ended by themselves."""
        return [
            f"{m.name} ended with code {m.exit_code}: {m.last_lines[-1:]}"
            for m in self.members.values()
            if m.lives and m.exit_code is not None
        ]

    def levels(self) -> dict[str, Level]:
        """What each member holds now."""
        return {name: member.level() for name, member in self.members.items()}

    def broker_level(self) -> tuple[int, int]:
        """(queues, connections) at the broker."""
        queues = self.node.ctl("list_queues", "-p", VHOST, "name").split()
        return len(queues), len(self.node.ctl("list_connections", "pid").splitlines())

    def _start(self) -> None:
        self._stack.callback(self._remove_folder)
        place = str(self.folder / "observations")
        self._socket.bind(place)
        self._listener.start()
        self._stack.callback(self._stop_listening, place)
        self.disk = self._stack.enter_context(SmallDisk(self.folder / "disk", _DISK_MIB))
        network = self._stack.enter_context(netns.Netns()) if self._namespaces else None
        self.network = network
        (away_port,) = free_ports(1)
        self.node = PrivateNode(
            extra_conf=f"listeners.tcp.2 = {network.host_address}:{away_port}" if network else ""
        )
        self._stack.callback(self.node.stop)
        self.node.start(_START_S)
        self.producer_path = self._proxied()
        self.remote_path = self._proxied()
        away = self.node.url
        if network:
            away = away.replace(f"127.0.0.1:{self.node.port}", f"{network.host_address}:{away_port}")
        self._add(PRODUCER, "producer", STREAM, self.producer_path.url, "--codec", self._codec,
                  "--fps", str(self._fps))  # fmt: skip
        self._add("other-producer", "producer", OTHER, self.node.url, "--fps", "5", "--codec", "jpeg")
        for name, flags in _CONSUMERS.items():
            url = {REMOTE: self.remote_path.url, "grey": away}.get(name, self.node.url)
            prefix = network.command([]) if network and name == "grey" else ()
            more = ["--sink", "null", "--sink", f"trace:{self.folder}/{name}-{{life}}.csv"]
            if name == RECORDER:
                more += ["--sink", f"record:{self.disk.path}/{name}-{{life}}.mkv"]
            self._add(name, "consumer", STREAM, url, "--name", name, *flags, *more, prefix=prefix)
        self._add("other", "consumer", OTHER, self.node.url, "--name", "other", "--sink", "null")
        for member in self.members.values():
            self.start(member)

    def _proxied(self) -> _Path:
        proxy = TcpProxy("127.0.0.1", self.node.port)
        proxy.start()
        self._stack.callback(proxy.stop)
        return _Path(proxy, proxy.url_through(self.node.url))

    def _add(
        self, name: str, role: str, stream: str, url: str, *flags: str, prefix: Sequence[str] = ()
    ) -> None:
        member = Member(
            name, role, stream, ["--stream", stream, *flags], self.folder, prefix=prefix,
            environment={"FANLIGHT_URL": url, "SOAK_OBSERVATIONS": str(self.folder / "observations")},
            on_line=self._log_line,
        )  # fmt: skip
        self.members[name] = member
        self._stack.callback(self._end, member)

    def _end(self, member: Member) -> None:
        if member.lives:
            member.end()
        member.close()

    def end_all(self) -> Iterator[tuple[str, int, float]]:
        """SIGTERM each, consumers first: name, exit code, and how long it took in seconds."""
        for name in (*(m.name for m in self.consumers), *(m.name for m in self.members.values())):
            member = self.members[name]
            if not member.lives or member.exit_code is not None:
                continue
            began_s = time.monotonic()
            code = member.end()
            yield name, code, time.monotonic() - began_s

    def _log_line(self, name: str, text: str, at_ns: int) -> None:
        with self.observed:
            self.judge.line(name, text, at_ns)

    def _listen(self) -> None:
        while not self._closing:
            datagram = self._socket.recv(_DATAGRAM)
            if not datagram:
                return
            observation = unpack(datagram)
            with self.observed:
                member = self._names.get(observation.member)
                if member is not None and member.number == observation.member:
                    self.judge.frame(observation, member.name, member.stream)
                    self.observed.notify_all()

    def _stop_listening(self, place: str) -> None:
        self._closing = True
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", place)
        self._listener.join()
        self._socket.close()

    def _remove_folder(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
