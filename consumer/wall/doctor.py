"""`python -m consumer.wall --doctor`."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.finding import Check, Finding, ok, problem
from fanlight.common.observe.doctor import report
from fanlight.common.observe.machine_check import machine_checks
from fanlight.common.observe.producer_check import ask_producer
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.wall.packages import NEEDED
from fanlight.consumer.wall.settings import WallSettings


def examine(settings: WallSettings) -> int:
    """Run all checks and report to stdout; the exit code is 1 if there is a problem, else 0."""
    checks: dict[str, Check] = {"web server": _packages}
    address, stream = settings.address, (*settings.named, ConsumerSettings.stream)[0]
    if isinstance(address, BrokerAddress):
        from fanlight.common.transport.amqp.broker_check import broker_checks

        checks |= broker_checks(address, "consumer", stream)
    else:
        ask = partial(ask_producer, settings.url, settings.credentials, stream=stream)
        checks["producer"] = partial(ask, max_age_s=settings.max_age_s, required=True)
    return report("wall", machine_checks() | checks)


def _packages() -> Finding:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        return problem(f"{' and '.join(missing)} missing: pip install 'fanlight[wall]'")
    return ok(f"{' and '.join(NEEDED)} are installed")
