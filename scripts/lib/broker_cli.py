"""The command line of `scripts/broker`."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

from fanlight.common.model.errors import ConfigError, FanlightError
from fanlight.common.runtime.credential_files import credentials_of
from fanlight.common.runtime.main import OneLineParser
from scripts.lib import broker
from scripts.lib.instance import Instance

_DESCRIPTION = """\
Find or start a RabbitMQ broker for Fanlight. Tried in this order: FANLIGHT_URL, used as it is; a Docker
engine (docker-compose.yml); a private node from an installed rabbitmq-server; the same after
`apt-get install rabbitmq-server`, for root on Debian or Ubuntu."""
_EPILOG = "Exit codes: 0 done, 1 no broker (one line says what to do), 2 unusable arguments."


def main(argv: list[str] | None = None) -> int:
    """Run `scripts/broker`; returns the exit code."""
    parser = OneLineParser(prog="broker", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "action",
        choices=("up", "down", "status", "url"),
        help="up: find or start one. down: stop what up started, and remove it. "
        "status: say what runs. url: print the URL and nothing else.",
    )
    parser.add_argument("--instance", default="default", metavar="NAME", help="one of several side by side")
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        "--docker", dest="only", action="store_const", const="docker", help="Docker or nothing"
    )
    only.add_argument(
        "--private", dest="only", action="store_const", const="private", help="a private node or nothing"
    )
    options = parser.parse_args(argv)
    actions: dict[str, Callable[[Instance, str | None], int]] = {
        "up": _up,
        "down": _down,
        "status": _status,
        "url": _url,
    }
    # An `up` that is terminated stops what it has started so far, as after Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    try:
        return actions[options.action](Instance(options.instance), options.only)
    except ConfigError as error:
        show(str(error))
        return 2
    except (FanlightError, OSError) as error:
        show(str(error))
        return 1
    except KeyboardInterrupt:
        show("interrupted; what was started is stopped again")
        return 1


def show(text: str) -> None:
    """Progress goes to stderr: stdout is for what a script reads."""
    print(f"broker: {text}", file=sys.stderr, flush=True)


def _up(instance: Instance, only: str | None) -> int:
    began = time.monotonic()
    found = broker.up(instance, show, only)
    if found.started:
        show(f"ready after {time.monotonic() - began:.1f} s: {broker.shown(found.url)}")
        record = instance.read()
        if record is not None and record.console:
            show(f"management console: {record.console} (login fanlight, password fanlight)")
    return 0


def _down(instance: Instance, _only: str | None) -> int:
    record = broker.down(instance)
    show(f"stopped {broker.shown(record.url)}" if record else "nothing to stop: `up` started nothing")
    return 0


def _url(instance: Instance, _only: str | None) -> int:
    given, record = os.environ.get(broker.GIVEN), instance.read()
    if not given and record is None:
        raise _nothing_up()
    print(given or (record.url if record else ""))
    return 0


def _nothing_up() -> FanlightError:
    others = broker.started_by_others()
    if others is None:
        return FanlightError("no broker is up: scripts/broker up")
    return FanlightError(f"{others}; scripts/broker up starts another one")


def _status(instance: Instance, _only: str | None) -> int:
    given, record = os.environ.get(broker.GIVEN), instance.read()
    if given:
        broker.require_answer(given, credentials_of())
        print(f"{broker.GIVEN} is set and answers: {broker.shown(given)}")
    if record is not None:
        answers = broker.answers(record.url)
        what = broker.WAYS[record.way].describe(instance)
        print(f"{what}: {broker.shown(record.url)} {'answers' if answers else 'does not answer'}")
        return 0 if answers else 1
    if not given:
        raise _nothing_up()
    return 0
