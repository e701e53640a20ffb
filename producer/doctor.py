"""`python -m producer --doctor`; run as a child process, reads one picture of a source."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from typing import Any, Final

from fanlight.common.model.address import BrokerAddress
from fanlight.common.model.errors import SourceError
from fanlight.common.model.finding import Check, Finding, ok
from fanlight.common.observe.doctor import report
from fanlight.common.observe.machine_check import in_child, machine_checks
from fanlight.common.observe.producer_check import ask_producer
from fanlight.producer.settings import ProducerSettings
from fanlight.producer.source import is_pipe, make_source

_LIMIT_S: Final = 15.0


def examine(settings: ProducerSettings) -> int:
    """Run all checks and report to stdout; the exit code is 1 if there is a problem, else 0."""
    return report("producer", machine_checks() | producer_checks(settings))


def producer_checks(settings: ProducerSettings) -> dict[str, Check]:
    """The checks specific to a producer."""
    given: dict[str, Any] = {"loop": settings.loop, "fps": settings.fps, "size": settings.size}
    given["show_source"] = settings.show_source
    source = make_source(settings.source, **given)  # raises for a missing file, as the producer does
    if is_pipe(settings.source):  # it can be read only once
        read_one: Check = partial(ok, f"{source}: a pipe, which only the producer itself may read")
    else:
        read_one = partial(_source, {"spec": settings.source, **given})
    checks: dict[str, Check] = {"source": read_one}
    address = settings.address
    if not isinstance(address, BrokerAddress):
        return checks
    from fanlight.common.transport.amqp.broker_check import broker_checks

    ask = partial(ask_producer, settings.url, settings.credentials, stream=settings.stream)
    checks |= broker_checks(address, "producer", settings.stream)
    return checks | {"producer": partial(ask, max_age_s=settings.max_age_s, required=False)}


def _source(given: dict[str, Any]) -> Finding:
    return ok(in_child("fanlight.producer.doctor", given, _LIMIT_S))


def _read_one(spec: str, size: list[int] | None, **options: Any) -> str:
    from fanlight.common.codec.picture import size_of

    source = make_source(spec, size=(size[0], size[1]) if size else None, **options)
    source.open()
    captured = source.read()
    if captured is None:
        raise SourceError(f"{source}: it delivers no picture")
    width, height = size_of(captured.picture)
    return f"{source}: a picture of {width}x{height}, nominally {source.fps:g} fps"


if __name__ == "__main__":
    sys.stdout.write(_read_one(**json.load(sys.stdin)))
    sys.stdout.flush()
    os._exit(0)  # threads of a camera driver may never end
