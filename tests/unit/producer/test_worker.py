from __future__ import annotations

from collections.abc import Callable

import pytest

from fanlight.common.model.errors import FanlightError, SourceError
from fanlight.producer.worker import Worker
from tests.support.timing import scaled

GONE = SourceError("it is gone")


def raising(error: Exception) -> Callable[[Worker], None]:
    def run(_worker: Worker) -> None:
        raise error

    return run


class ScriptedWorker(Worker):
    def __init__(self, script: Callable[[Worker], object], ends: list[FanlightError | None]) -> None:
        super().__init__("work", ends.append)
        self._script = script

    def run(self) -> None:
        self._script(self)


@pytest.mark.parametrize(
    ("script", "end", "messages"),
    [
        (lambda worker: worker._stopping.wait(scaled(30)), "None", []),
        (raising(GONE), "it is gone", []),
        (
            raising(ValueError("a bug")),
            "work: internal error: ValueError('a bug')",
            ["work: internal error"],
        ),
    ],
    ids=["stopped", "failed", "internal error"],
)
def test_how_it_ended_is_reported(
    script: Callable[[Worker], object], end: str, messages: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    ends: list[FanlightError | None] = []
    worker = ScriptedWorker(script, ends)
    worker.start()
    worker.stop(scaled(10))
    assert [str(error) for error in ends] == [end]
    assert caplog.messages == messages
