"""What a private RabbitMQ node has on disk and in its environment."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.lib.ports import LOOPBACK, free_ports

_BROKER = Path(__file__).resolve().parents[2] / "broker"
SHARED_CONF = _BROKER / "rabbitmq.conf"
DEFINITIONS = _BROKER / "definitions.json"
_START_CONF = _BROKER / "rabbitmq-env.conf"
_COOKIE = ".erlang.cookie"
# Not Debian's /usr/sbin/rabbitmq-server: that one changes to the user rabbitmq and to fixed folders.
_SCRIPTS = (Path("/usr/lib/rabbitmq/bin"), Path("/opt/rabbitmq/sbin"))
# Two schedulers, as tests share few cores with encoders. One thread for files, and threads that spin for
# some microseconds before they sleep: starting is thousands of small reads, each handed from one
# thread to another, and takes 2.7 s so in place of 5.5 s (+0.014 cores under 300 deliveries/s).
# The link that rabbitmqctl uses would listen on every address by default.
_ERLANG = "+S 2:2 +SDio 1 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface"


@dataclass(frozen=True, slots=True)
class Identity:
    """What stays the same over a restart, and over the end of the program that started the node."""

    name: str
    amqp_port: int
    dist_port: int
    epmd_port: int
    management_port: int | None


def scripts_folder() -> Path | None:
    """Where rabbitmq-server's own scripts are (FANLIGHT_RABBITMQ, if set); None if it is not installed."""
    given = os.environ.get("FANLIGHT_RABBITMQ")
    folders = (Path(given),) if given else _SCRIPTS
    return next((path for path in folders if (path / "rabbitmq-server").exists()), None)


def new_identity(*, management: bool) -> Identity:
    amqp, dist, epmd, web = free_ports(4)
    # localhost: the node can then be reached whatever this machine's name resolves to.
    name = f"fanlight-{secrets.token_hex(4)}@localhost"
    return Identity(name, amqp, dist, epmd, web if management else None)


def load_identity(folder: Path) -> Identity | None:
    """The identity of the node that lives in `folder`; None if none does."""
    try:
        return Identity(**json.loads((folder / "node.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write(folder: Path, identity: Identity, extra_conf: str) -> None:
    """Write all that the node reads at its start."""
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / _COOKIE).exists():
        write_cookie(folder, secrets.token_hex(20))
    conf = [
        _with_definitions(SHARED_CONF.read_text()),
        f"listeners.tcp.1 = {LOOPBACK}:{identity.amqp_port}",
    ]
    plugins = ""
    if identity.management_port is not None:
        plugins = "rabbitmq_management"
        conf += [f"management.tcp.ip = {LOOPBACK}", f"management.tcp.port = {identity.management_port}"]
    (folder / "rabbitmq.conf").write_text("\n".join([*conf, extra_conf, ""]))
    (folder / "enabled_plugins").write_text(f"[{plugins}].\n")
    (folder / "node.json").write_text(json.dumps(asdict(identity)))


def _with_definitions(conf: str) -> str:
    """Users and permissions come from this checkout, not from where the container has them."""
    lines = [line for line in conf.splitlines() if not line.startswith("load_definitions")]
    return "\n".join([*lines, f"load_definitions = {DEFINITIONS}"])


def erlang_address(address: str) -> str:
    """An IPv4 address as Erlang writes it."""
    return "{" + address.replace(".", ",") + "}"


def write_cookie(folder: Path, cookie: str) -> None:
    """Nodes that share it may command each other."""
    file = folder / "home" / _COOKIE
    file.unlink(missing_ok=True)
    # Erlang refuses a cookie that others may read.
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(cookie)


def environment(folder: Path, identity: Identity) -> dict[str, str]:
    """For the server and for rabbitmqctl; nothing of the caller's RABBITMQ_* nor of /etc/rabbitmq."""
    host = identity.name.partition("@")[2]
    # The nodes of a cluster are named after addresses of their own: see scripts/private_cluster.py.
    address = LOOPBACK if host == "localhost" else host
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(folder / "home"),
        "ERL_EPMD_PORT": str(identity.epmd_port),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "RABBITMQ_NODENAME": identity.name,
        "RABBITMQ_USE_LONGNAME": str(host == address).lower(),
        "RABBITMQ_DIST_PORT": str(identity.dist_port),
        "RABBITMQ_CONF_ENV_FILE": str(_START_CONF),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
        "RABBITMQ_PLUGINS_EXPAND_DIR": str(folder / "plugins"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{_ERLANG} {erlang_address(address)}",
        "ERL_CRASH_DUMP_SECONDS": "0",  # none: nobody reads it, and writing it takes seconds
        # Makes the start script become the Erlang VM, so that its process is the node.
        "RUNNING_UNDER_SYSTEMD": "true",
    }
