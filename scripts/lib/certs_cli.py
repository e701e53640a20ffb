"""The command line of `scripts/certs`."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from fanlight.common.model.errors import FanlightError
from fanlight.common.model.units import NAME, checked, count
from fanlight.common.runtime.main import OneLineParser
from scripts.lib.bootstrap import PYTHON, ensure_venv
from scripts.lib.instance import CHECKOUT

_DESCRIPTION = """\
Make certificates for development: a CA, a certificate for the broker, and one for each client. The CA is
kept and used again; whoever has its key can pose as your broker: trust it for development alone."""
_EPILOG = "Exit codes: 0 done, 1 failed, 2 unusable arguments."
_DAYS = count(1, 36500, "a whole number from 1 to 36500")
_DEFAULT_NAMES = ("localhost", "127.0.0.1", "::1")


def main(argv: list[str] | None = None) -> int:
    """Run `scripts/certs`; returns the exit code."""
    parser = OneLineParser(prog="certs", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "names", nargs="*", default=_DEFAULT_NAMES, metavar="NAME",
        help="host names and addresses of the broker (default: localhost 127.0.0.1 ::1)",
    )  # fmt: skip
    parser.add_argument("--client", action="append", default=[], metavar="USER", help="may be repeated")
    parser.add_argument("--days", default="365", metavar="N", help="how long they are valid (default: 365)")
    parser.add_argument("--out", type=Path, default=Path("certs"), metavar="DIR", help="default: ./certs")
    options = parser.parse_args(argv)
    try:
        days = checked("--days", options.days, _DAYS.read)
        clients = [checked("--client", user, NAME.read) for user in options.client]
    except FanlightError as error:
        show(str(error))
        return 2
    try:
        if importlib.util.find_spec("cryptography") is None:
            ensure_venv(show)
            again = [
                str(PYTHON),
                str(CHECKOUT / "scripts" / "certs"),
                *(sys.argv[1:] if argv is None else argv),
            ]
            os.execv(PYTHON, again)
        return _make(options.out, tuple(options.names), clients, days)
    except (FanlightError, OSError) as error:
        show(str(error))
        return 1


def show(text: str) -> None:
    """Progress goes to stderr."""
    print(f"certs: {text}", file=sys.stderr, flush=True)


def _make(folder: Path, names: tuple[str, ...], clients: list[str], days: int) -> int:
    from scripts.lib.certs import Authority

    authority = Authority(folder, days=days)
    ca = authority.pair.cert.resolve()
    show(f"{'made' if authority.made else 'used'} the CA {ca}, valid until {authority.ends:%Y-%m-%d}")
    server = authority.server(names)
    show(f"made {server.cert} for {', '.join(names)}")
    pairs = [authority.client(user) for user in clients]
    for user, pair in zip(clients, pairs, strict=True):
        show(f"made {pair.cert} for the client {user}")
    print(
        f"""\
# RabbitMQ (rabbitmq.conf); its user has to be able to read the key:
listeners.ssl.default = 5671
ssl_options.cacertfile = {ca}
ssl_options.certfile = {server.cert.resolve()}
ssl_options.keyfile = {server.key.resolve()}
ssl_options.versions.1 = tlsv1.3
ssl_options.versions.2 = tlsv1.2
# only for clients that have a certificate: verify_peer and true
ssl_options.verify = {"verify_peer" if pairs else "verify_none"}
ssl_options.fail_if_no_peer_cert = {"true" if pairs else "false"}

# Fanlight, producer and consumers (or --ca and so on):
export FANLIGHT_URL=amqps://fanlight@{_host(names[0])}:5671/fanlight FANLIGHT_PASSWORD=...
export FANLIGHT_CA={ca}"""
    )
    for user, pair in zip(clients, pairs, strict=True):
        print(f"export FANLIGHT_CERT={pair.cert.resolve()} FANLIGHT_KEY={pair.key.resolve()}  # {user}")
    return 0


def _host(name: str) -> str:
    if "*" in name:
        return "HOST"
    return f"[{name}]" if ":" in name else name
