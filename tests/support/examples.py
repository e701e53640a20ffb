"""Runs the programs in examples/ as a user does: real processes, beside a real producer."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fanlight import Producer
from fanlight.common.model.pixels import Pixels
from tests.support.commands import ROOT, Command, running
from tests.support.feeder import Feeder
from tests.support.timing import scaled

FOLDER = ROOT / "examples"


@contextmanager
def example(name: str, url: str, *arguments: str, **environment: str) -> Iterator[Command]:
    """`examples/NAME.py ARGUMENTS`, running; killed at the end if it still runs.

    Args:
        url: of the broker, as `FANLIGHT_URL`.
        environment: further variables.
    """
    variables = {"FANLIGHT_URL": url, "PYTHONUNBUFFERED": "1", **environment}
    with running(f"examples.{name}", *arguments, environment=variables) as command:
        yield command


def printed(command: Command, pattern: str, timeout_s: float = 30.0) -> re.Match[str]:
    """Wait for a line on stdout that has a match of `pattern`. `timeout_s` is scaled."""
    line = command.out.wait_for(lambda text: re.search(pattern, text) is not None, scaled(timeout_s))
    if line is None:
        raise AssertionError(
            f"no line {pattern!r} in:\n{command.out.text}\nand on stderr:\n{command.err.text}"
        )
    found = re.search(pattern, line.text)
    assert found is not None
    return found


def check_ends(command: Command, *, by_ctrl_c: bool = False) -> None:
    """It ends in good order: by Ctrl-C, or by itself (the caller has closed the stream's producer)."""
    if by_ctrl_c:
        command.signal(signal.SIGINT)
    code = command.wait(30.0)
    assert "Traceback" not in command.err.text, command.err.text
    assert code == 0, f"exit code {code}:\n{command.err.text}"


class Showing(Feeder):
    """A producer that sends what `picture` makes of the capture time (ns) until the end of the context.

    Then its stream ends in good order.
    """

    def __init__(
        self,
        url: str,
        stream: str,
        picture: Callable[[int], Pixels],
        *,
        codec: str = "jpeg",
        fps: float = 30,
    ) -> None:
        super().__init__(Producer(stream=stream, url=url, codec=codec, fps=fps), fps)
        self._picture = picture

    def picture(self, capture_ns: int) -> Pixels:
        return self._picture(capture_ns)
