from __future__ import annotations

import time

import pytest

from common.doctor.child import ChildFailed, look_in_child
from tests.support.timing import scaled


def look(body: str, timeout_s: float = 20.0, **given: object) -> str:
    return look_in_child(f"def look(given):\n    {body}\n", given, scaled(timeout_s))


def test_it_says_what_it_found() -> None:
    assert look("return str(given['a'])", a=[1, 2]) == "[1, 2]"


def test_what_it_is_given_is_not_in_the_process_list() -> None:
    assert look("return str(given['url'] in open('/proc/self/cmdline').read())", url="SECRET") == "False"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("from common.errors import SourceError; raise SourceError('no camera')", "no camera"),
        ("import os; os.abort()", r"crashed \(signal 6\)"),
        ("raise ZeroDivisionError('x')", "ZeroDivisionError: x"),
    ],
)
def test_it_fails_with_a_reason(body: str, reason: str) -> None:
    with pytest.raises(ChildFailed, match=reason):
        look(body)


def test_one_that_hangs_is_ended() -> None:
    began_s = time.monotonic()
    with pytest.raises(ChildFailed, match="hangs"):
        look_in_child("def look(given):\n    import time; time.sleep(60)\n", {}, 0.5)
    assert time.monotonic() - began_s < scaled(10)
