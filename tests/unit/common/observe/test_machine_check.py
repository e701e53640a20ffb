from __future__ import annotations

import pytest

from fanlight.common.model.errors import FanlightError
from fanlight.common.observe.machine_check import in_child, machine_checks
from tests.support.timing import scaled

CHILD = "tests.support.doctor_child"


def child(limit_s: float = 20.0, **given: object) -> str:
    return in_child(CHILD, given, limit_s)


def test_this_machine_has_no_problems() -> None:
    found = {title: check() for title, check in machine_checks().items()}
    assert {"packages", "codecs"} <= {title for title, each in found.items() if each.severity == "ok"}
    assert "PROBLEM" not in {each.severity for each in found.values()}


def test_memory_that_a_hub_may_not_have_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    check = machine_checks()["shared memory"]
    assert check().text == "200 MiB can be shared"
    monkeypatch.setattr("fanlight.common.observe.machine_check._SHM_BYTES", 2**60)
    assert (check().severity, "kernel.shmmax" in check().advice) == ("note", True)


def test_values_for_a_child_are_not_in_the_process_list() -> None:
    assert child(work="arguments", url="SECRET") == "[] SECRET"


@pytest.mark.parametrize(
    ("work", "reason"), [("raise", "SourceError: no camera"), ("abort", r"crashed \(signal 6\)")]
)
def test_a_child_fails_with_a_reason(work: str, reason: str) -> None:
    with pytest.raises(FanlightError, match=reason):
        child(scaled(20.0), work=work)


def test_a_child_that_hangs_is_ended() -> None:
    with pytest.raises(FanlightError, match="hangs"):
        child(0.5, work="hang")
