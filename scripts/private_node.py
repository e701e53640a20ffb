"""A RabbitMQ node of one's own, from an installed rabbitmq-server, that leaves nothing behind.

    with PrivateNode() as node:
        connect(node.url)

Own name, ports, epmd (Erlang's port mapper), cookie and data folder; listens on the loopback address
only. Tests start, kill and suspend it; `scripts/broker` starts it, and finds it again with `attach`.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from fanlight.common.model.errors import FanlightError
from scripts.lib import amqp_login, marked, node_files
from scripts.lib.node_files import scripts_folder
from scripts.lib.ports import LOOPBACK, is_free

__all__ = ["NodeError", "PrivateNode", "scripts_folder"]

USER = PASSWORD = VHOST = "fanlight"  # as in broker/definitions.json
NOT_INSTALLED = "rabbitmq-server is not installed (apt-get install rabbitmq-server)"
_SERVER, _EPMD = "beam.smp", "epmd"
_LOGIN_EVERY_S = 0.05


class NodeError(FanlightError):
    """The node cannot be started, or a command on it failed.

    Attributes:
        reason: one sentence.
        log: the last lines of the node's log, or what the command printed.
    """

    def __init__(self, reason: str, log: str = "") -> None:
        self.reason = reason
        self.log = log
        super().__init__(f"{reason}\n{log}" if log else reason)


class PrivateNode:
    """One node. Not thread-safe."""

    def __init__(
        self, folder: Path | None = None, *, management: bool = False, extra_conf: str = ""
    ) -> None:
        """Choose name, ports and folder; nothing runs before `start`.

        Args:
            folder: where the node keeps everything; removed by `stop`. A new temporary one by default.
            management: also run the management plugin (`management_url`); slower to start.
            extra_conf: lines that override broker/rabbitmq.conf.
        """
        self.folder = folder or Path(tempfile.mkdtemp(prefix="fanlight-node-"))
        known = node_files.load_identity(self.folder)
        self._identity = known or node_files.new_identity(management=management)
        self._extra_conf = extra_conf
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    @classmethod
    def attach(cls, folder: Path) -> Self:
        """The node that another program started in `folder`.

        Raises:
            NodeError: there is none.
        """
        if node_files.load_identity(folder) is None:
            raise NodeError(f"{folder} does not hold a private node")
        return cls(folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def name(self) -> str:
        return self._identity.name

    @property
    def port(self) -> int:
        return self._identity.amqp_port

    @property
    def url(self) -> str:
        return f"amqp://{USER}:{PASSWORD}@{LOOPBACK}:{self.port}/{VHOST}"

    @property
    def management_url(self) -> str | None:
        port = self._identity.management_port
        return None if port is None else f"http://{LOOPBACK}:{port}"

    def processes(self) -> dict[int, str]:
        """Number and name of every process that belongs to the node."""
        return marked.find(self.name)

    @property
    def pid(self) -> int | None:
        """The process that is the broker (to measure it); None if it does not run."""
        return next(iter(self._server()), None)

    def answers(self, timeout_s: float = 5.0) -> bool:
        """True if our user can log in now."""
        try:
            amqp_login.login(LOOPBACK, self.port, USER, PASSWORD, VHOST, timeout_s=timeout_s)
        except amqp_login.NotReady:
            return False
        return True

    def start(self, timeout_s: float = 60.0) -> None:
        """Start the node and wait until our user can log in.

        Raises:
            NodeError: it did not come up; nothing of it is left.
        """
        scripts = scripts_folder()
        if scripts is None:
            raise NodeError(NOT_INSTALLED)
        if self._server():
            raise NodeError(f"{self.name} runs already")
        try:
            node_files.write(self.folder, self._identity, self._extra_conf)
            self._start_epmd()
            self._launch(_SERVER, [str(scripts / "rabbitmq-server")])
            self._wait_ready(time.monotonic() + timeout_s)
        except BaseException:
            self.stop(timeout_s=0.0)
            raise

    def stop(self, timeout_s: float = 10.0) -> None:
        """End the node, by SIGTERM if it reacts within `timeout_s`, and remove its folder."""
        self._end_server(timeout_s)
        marked.kill_all(self.name)
        self._reap()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL the node, as a crash would. Its data stays; `restart` brings it back."""
        marked.kill_all(self.name, keep=_EPMD)
        self._reap()

    def restart(self, *, timeout_s: float = 60.0, empty: bool = False) -> None:
        """Start again on the same ports, after `kill` or by stopping it first; `empty` forgets all data."""
        self._end_server(timeout_s=10.0)
        self.kill()
        if empty:
            shutil.rmtree(self.folder / "data", ignore_errors=True)
        self.start(timeout_s)

    def suspend(self) -> None:
        """SIGSTOP: connections stay open, nothing answers."""
        marked.send(self._server(), signal.SIGSTOP)

    def resume(self) -> None:
        marked.send(self._server(), signal.SIGCONT)

    def ctl(self, *arguments: str, timeout_s: float = 60.0) -> str:
        """Run rabbitmqctl on this node and return what it printed.

        Raises:
            NodeError: it failed; holds what it printed.
        """
        scripts = scripts_folder()
        if scripts is None:
            raise NodeError(NOT_INSTALLED)
        done = subprocess.run(
            [str(scripts / "rabbitmqctl"), "--quiet", "--node", self.name, *arguments],
            check=False,
            env=node_files.environment(self.folder, self._identity),
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        if done.returncode != 0:
            output = (done.stdout + done.stderr).strip()
            raise NodeError(f"rabbitmqctl {' '.join(arguments)} failed", output)
        return done.stdout

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of the node's log."""
        try:
            text = (self.folder / "node.log").read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])

    def _launch(self, role: str, command: list[str]) -> None:
        with (self.folder / "node.log").open("ab") as log:
            self._children[role] = subprocess.Popen(
                command,
                env=node_files.environment(self.folder, self._identity) | {marked.VARIABLE: self.name},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in our terminal is not meant for the node
            )

    def _start_epmd(self) -> None:
        if not is_free(self._identity.epmd_port):
            return  # ours, of before a restart, or that of the cluster
        self._launch(_EPMD, epmd_command(LOOPBACK, self._identity.epmd_port))

    def _wait_ready(self, deadline: float) -> None:
        server = self._children[_SERVER]
        while True:
            try:
                amqp_login.login(LOOPBACK, self.port, USER, PASSWORD, VHOST, timeout_s=1.0)
            except amqp_login.NotReady as not_ready:
                # Wakes at once if the node ends.
                marked.wait_gone([server.pid], _LOGIN_EVERY_S)
                if server.poll() is not None:
                    reason = f"RabbitMQ ended at its start: {self._first_error()}"
                    raise NodeError(reason, self.log_tail()) from None
                if time.monotonic() > deadline:
                    reason = f"RabbitMQ did not come up in time: {not_ready}"
                    raise NodeError(reason, self.log_tail()) from None
            else:
                return

    def _first_error(self) -> str:
        """The log's first error, which explains those that follow."""
        lines = self.log_tail(lines=10_000).splitlines()
        errors = [line.partition("[error]")[2].partition("> ")[2].strip() for line in lines]
        return next(filter(None, errors), "no error in its log")[:300]

    def _server(self) -> list[int]:
        return [pid for pid, name in self.processes().items() if name == _SERVER]

    def _end_server(self, timeout_s: float) -> None:
        pids = self._server()
        marked.send(pids, signal.SIGTERM)
        marked.send(pids, signal.SIGCONT)  # a suspended node would never see the SIGTERM
        marked.wait_gone(pids, timeout_s)

    def _reap(self) -> None:
        """Collect our own children that have ended, so that no zombie stays."""
        self._children = {role: child for role, child in self._children.items() if child.poll() is None}


def epmd_command(addresses: str, port: int) -> list[str]:
    """Runs Erlang's port mapper.

    Raises:
        NodeError: it is not installed.
    """
    epmd = shutil.which("epmd")
    if epmd is None:
        raise NodeError("epmd is not installed (it belongs to Erlang: apt-get install erlang-base)")
    return [epmd, "-address", addresses, "-port", str(port)]
