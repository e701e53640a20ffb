"""`python -m producer --doctor`: is everything there that this producer needs?"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Final

from common.address import BrokerAddress, TcpAddress
from common.doctor.child import ChildFailed, look_in_child
from common.doctor.finding import Check, Finding, note, ok, problem
from common.doctor.machine import machine_checks
from common.doctor.reach import producer_check
from common.doctor.run import report
from common.frame import MAX_BODY_BYTES, Codec
from common.shell.options import Operation
from producer.settings import DEFAULT_SIZE, ProducerSettings
from producer.source import make_source

_SOURCE_S: Final = 11.0
_LISTEN_S: Final = 3.0
_CAMERA: Final = "0"
_TEST: Final = "test"
_USUAL_BYTES: Final = 1024 * 1024
_READ_ONE: Final = """
def look(given):
    from common.codec.picture import size_of
    from common.errors import SourceError
    from producer.source import make_source
    size = given["size"] and tuple(given["size"])
    source = make_source(given["source"], loop=given["loop"], fps=given["fps"], size=size)
    source.open()
    captured = source.read()
    if captured is None:
        raise SourceError(f"{source}: it gives no picture")
    width, height = size_of(captured.picture)
    return f"a picture of {width}x{height}, nominally {source.fps:g} fps"
"""


def examine(settings: ProducerSettings, operation: Operation) -> int:
    """Look, report to stdout; the exit code: 0, or 1 if there is a problem."""
    return report("producer", [*machine_checks(), *producer_checks(settings)], operation.log_format)


def producer_checks(settings: ProducerSettings) -> list[Check]:
    """Those of a producer alone."""
    # Files that are not there are refused at once, as when it runs.
    shown = str(make_source(settings.source, loop=settings.loop, fps=settings.fps, size=settings.size))
    checks = [Check("source", _SOURCE_S + 1, lambda: _source(settings, settings.source, shown))]
    if settings.source == _TEST:
        checks.append(Check("camera", _SOURCE_S + 1, lambda: _camera(settings)))
    address = settings.access.address(settings.url)
    if isinstance(address, TcpAddress):
        return [*checks, Check("listening", _LISTEN_S, lambda: _listen(address))]
    return [*checks, *_broker(settings, address)]


def _broker(settings: ProducerSettings, address: BrokerAddress) -> list[Check]:
    from common.fanout.broker.examination import Role, broker_checks

    checks = broker_checks(
        address,
        role=Role.PRODUCER,
        stream=settings.stream,
        name="doctor",
        message_bytes=largest_message(settings),
    )
    clock = producer_check(
        settings.url,
        settings.access,
        stream=settings.stream,
        max_age_s=settings.max_age_s,
        needs_producer=False,
    )
    return [*checks, clock]


def largest_message(settings: ProducerSettings) -> int:
    """Bytes of the largest frame to be expected: raw ones are as large as their pixels."""
    if settings.codec is not Codec.RAW:
        return _USUAL_BYTES
    width, height = settings.size or DEFAULT_SIZE
    return min(width * height * 3, MAX_BODY_BYTES)


def _source(settings: ProducerSettings, spec: str, shown: str) -> Iterator[Finding]:
    try:
        yield ok("source", f"{shown}: {_read_one(settings, spec)}")
    except ChildFailed as error:
        yield problem("source", str(error), "--source test needs nothing")


def _camera(settings: ProducerSettings) -> Iterator[Finding]:
    try:
        yield ok("camera", f"camera {_CAMERA}: {_read_one(settings, _CAMERA)}")
    except ChildFailed as error:
        yield note("camera", str(error), "needed for --source 0 alone")


def _read_one(settings: ProducerSettings, spec: str) -> str:
    given: dict[str, object] = {
        "source": spec,
        "loop": settings.loop,
        "fps": settings.fps,
        "size": settings.size,
    }
    return look_in_child(_READ_ONE, given, _SOURCE_S)


def _listen(address: TcpAddress) -> Iterator[Finding]:
    """Whether the address is free."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(place)
    except OSError as error:
        why = error.strerror or str(error)
        yield problem("listening", f"{address}: {why}", "end who listens there, or choose another port")
        return
    yield ok("listening", f"{address} is free")
