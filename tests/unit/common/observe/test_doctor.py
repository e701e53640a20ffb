from __future__ import annotations

import io

from fanlight.common.model.errors import FanlightError
from fanlight.common.model.finding import Check, Finding, note, ok, problem
from fanlight.common.observe.doctor import report


def run(**checks: Check) -> tuple[int, list[str]]:
    out = io.StringIO()
    return report("x", checks, out), out.getvalue().splitlines()


def raises(error: Exception) -> Check:
    def check() -> Finding:
        raise error

    return check


def test_findings_come_in_order_with_what_to_do() -> None:
    code, lines = run(
        a=lambda: ok("fine"), b=lambda: note("so so", "look at it"), c=lambda: problem("broken", "mend it")
    )
    assert code == 1
    assert lines == [
        "ok      a: fine",
        "note    b: so so -> look at it",
        "PROBLEM c: broken -> mend it",
        "x: problems: 1",
    ]
    assert run(a=lambda: note("so so")) == (0, ["note    a: so so", "x: nothing is wrong"])


def test_a_check_that_raises_is_a_problem_and_the_others_are_run() -> None:
    code, lines = run(
        a=raises(FanlightError("no")), b=raises(ZeroDivisionError("zero")), c=lambda: ok("fine")
    )
    assert code == 1
    assert lines[:3] == ["PROBLEM a: no", "PROBLEM b: ZeroDivisionError: zero", "ok      c: fine"]
