"""The file beside a recording: its lines, and what is not in it."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from fanlight.common.model.result import Result
from fanlight.consumer.sinks.sidecar import Sidecar, sidecar_path
from tests.support.found import found
from tests.unit.consumer.sinks.build import header


@pytest.fixture
def early() -> deque[Result]:
    return deque()


@pytest.fixture
def sidecar(tmp_path: Path, early: deque[Result]) -> Sidecar:
    return Sidecar(tmp_path / "r.mp4", early)


def lines(sidecar: Sidecar) -> list[dict[str, Any]]:
    return [json.loads(line) for line in sidecar.path.read_text().splitlines()]


def numbers(sidecar: Sidecar) -> list[tuple[str, int]]:
    return [(each["type"], each["seq"]) for each in lines(sidecar)]


def test_a_line_has_all_that_the_recording_lacks(sidecar: Sidecar) -> None:
    head = header(5)._replace(meta='{"gps":[48.1,11.6]}')
    sidecar.frame(head, 0.166667)
    result = found(5, capture_ns=head.capture_ns, boxes=((1.0, 2.0, 3.0, 4.0),), labels=("face",))
    sidecar.result(result)
    assert sidecar.path.name == "r.mp4.jsonl"
    assert lines(sidecar) == [
        {
            "type": "frame", "at_s": 0.166667, "epoch": 7, "seq": 5, "capture_ns": head.capture_ns,
            "meta": {"gps": [48.1, 11.6]},
        },
        {
            "type": "result", "at_s": 0.166667, "v": 1, "stream": "cam", "name": "faces", "epoch": 7,
            "seq": 5, "capture_ns": head.capture_ns, "width": 64, "height": 48,
            "boxes": [[1.0, 2.0, 3.0, 4.0]], "labels": ["face"],
        },
    ]  # fmt: skip
    sidecar.close()


def test_a_result_that_comes_before_its_frame_is_written_after_it(sidecar: Sidecar) -> None:
    sidecar.result(found(1))
    sidecar.result(found(1, "motion"))
    sidecar.frame(header(0), 0.0)
    sidecar.frame(header(1), 0.033)
    assert numbers(sidecar) == [("frame", 0), ("frame", 1), ("result", 1), ("result", 1)]
    sidecar.close()
    assert sidecar.unmatched == 0


def test_a_result_may_be_early_by_a_file(sidecar: Sidecar, early: deque[Result], tmp_path: Path) -> None:
    sidecar.result(found(1))
    sidecar.close()
    following = Sidecar(tmp_path / "r-2.mp4", early)
    following.frame(header(1), 0.0)
    following.close()
    assert numbers(following) == [("frame", 1), ("result", 1)]


def test_a_result_without_its_frame_is_left_out_and_counted(sidecar: Sidecar, early: deque[Result]) -> None:
    sidecar.frame(header(0), 0.0)
    sidecar.result(found(0, epoch=8))
    for seq in range(100, 200):
        sidecar.result(found(seq))
    sidecar.close()
    assert sidecar.unmatched + len(early) == 101
    assert len(early) == 32, "the first ones gave way"
    assert numbers(sidecar) == [("frame", 0)]


def test_after_an_error_there_are_whole_lines_only(sidecar: Sidecar) -> None:
    sidecar.frame(header(0), 0.0)
    whole = sidecar.path.read_bytes()
    with sidecar.path.open("ab") as torn:
        torn.write(b'{"type":"fr')
    sidecar.abandon()
    assert sidecar.path.read_bytes() == whole


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    sidecar_path(tmp_path / "r.mp4").write_text("precious")
    with pytest.raises(FileExistsError):
        Sidecar(tmp_path / "r.mp4", deque())
    assert sidecar_path(tmp_path / "r.mp4").read_text() == "precious"
