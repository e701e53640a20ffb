from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any

import pytest

from fanlight.common.runtime.asynchronous import OtherTasks, in_thread, with_parameters_of
from tests.support.timing import scaled, until


class Original:
    def __init__(self, name: str, *, size: int = 5) -> None:
        self.given = (name, size)


class Wrapper:
    @with_parameters_of(Original)
    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.original = Original(*arguments, **keywords)


def test_a_wrapper_has_the_parameters_of_what_it_wraps() -> None:
    assert Wrapper("a", size=3).original.given == ("a", 3)
    assert inspect.signature(Wrapper) == inspect.signature(Original)
    with pytest.raises(TypeError, match="colour"):
        Wrapper("a", colour=1)  # type: ignore[call-arg]


def test_other_tasks_run_once_in_between() -> None:
    order: list[str] = []

    async def other() -> None:
        order.append("other")

    async def main() -> None:
        task = asyncio.create_task(other())
        await OtherTasks()
        order.append("main")
        await task

    asyncio.run(main())
    assert order == ["other", "main"]


def test_work_runs_beside_the_loop_and_its_error_is_raised() -> None:
    goes_on = threading.Event()

    async def main() -> None:
        asyncio.get_running_loop().call_soon(goes_on.set)
        await in_thread(lambda: goes_on.wait(scaled(10)) or pytest.fail("the loop stood still"), "work")
        with pytest.raises(ZeroDivisionError):
            await in_thread(lambda: 1 // 0, "work")

    asyncio.run(main())


def test_a_cancelled_caller_ends_with_the_work_however_often_it_is_cancelled() -> None:
    begun, goes_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        goes_on.wait(scaled(10))
        ended.set()

    async def main() -> None:
        task = asyncio.create_task(in_thread(work, "work"))
        async with asyncio.timeout(scaled(10)):
            await until(begun.is_set)
            for _ in range(3):
                task.cancel()
                await OtherTasks()
            assert not task.done()
            goes_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert ended.is_set()

    asyncio.run(main())
    assert "work" not in {thread.name for thread in threading.enumerate()}
