from __future__ import annotations

import pytest

from common.doctor import machine
from common.doctor.finding import Verdict
from common.doctor.machine import machine_checks
from common.errors import DecodeError


def findings() -> dict[str, Verdict]:
    return {found.check: found.verdict for check in machine_checks() for found in check.look()}


def test_all_is_well_here() -> None:
    found = findings()
    assert {"python", "packages", "codec h264", "codec jpeg", "codec png", "codec raw"} <= set(found)
    assert {verdict for check, verdict in found.items() if check != "shared memory"} == {Verdict.OK}


def test_a_package_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_PACKAGES", ("pika", "no-such-package"))
    (check,) = [check for check in machine_checks() if check.title == "python"]
    last = list(check.look())[-1]
    assert (last.verdict, last.text) == (Verdict.PROBLEM, "not installed: no-such-package")


@pytest.mark.parametrize(("raises", "limit"), [(True, 8.0), (False, -1.0)])
def test_a_codec_that_does_not_work(monkeypatch: pytest.MonkeyPatch, raises: bool, limit: float) -> None:
    def refuse(*_arguments: object) -> None:
        raise DecodeError("no")

    if raises:
        monkeypatch.setattr("common.codec.jpeg.JpegDecoder.decode", refuse)
    monkeypatch.setattr(machine, "_MOST_ERROR", limit)
    assert findings()["codec jpeg"] is Verdict.PROBLEM
