"""Results from and to `supervision.Detections`: what is kept, and that it comes back as it was."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from fanlight.common.model.errors import FanlightError
from fanlight.common.model.result import Result
from fanlight.consumer.supervision import from_supervision, to_supervision
from tests.support import supervision_fields
from tests.support.found import found

INSTALLED = find_spec("supervision") is not None


@pytest.fixture
def supervision(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The library; where it is not installed, what its documentation says: it brings 460 MB."""
    if INSTALLED:
        return pytest.importorskip("supervision")
    monkeypatch.setitem(sys.modules, "supervision", supervision_fields)
    return supervision_fields


def published(content: Mapping[str, Any]) -> Result:
    """What arrives of it at another process."""
    result = found(
        size=(160, 120),
        boxes=tuple(map(tuple, content["boxes"].tolist())),
        labels=tuple(content.get("labels", ())),
        scores=tuple(content["scores"].tolist()) if "scores" in content else (),
        polygons=tuple(tuple(map(tuple, each.tolist())) for each in content.get("polygons", ())),
        data=content["data"],
    )
    return Result.from_json(result.to_json())


def test_boxes_names_numbers_and_masks_come_back(supervision: Any) -> None:
    mask = np.zeros((2, 120, 160), bool)
    mask[0, 10:40, 20:60] = mask[0, 80:90, 100:130] = mask[1, 20:60, 80:120] = True
    detections = supervision.Detections(
        xyxy=np.array([[20, 10, 130, 90], [80, 20, 120, 60.5]]),
        mask=mask,
        confidence=np.array([0.875, 0.5]),
        class_id=np.array([3, 0]),
        tracker_id=np.array([7, 8]),
        data={"class_name": np.array(["face", "cat"])},
    )
    result = published(from_supervision(detections))
    assert (result.labels, result.scores, len(result.polygons)) == (("face", "cat"), (0.875, 0.5), 3)
    back = to_supervision(result)
    for field in ("xyxy", "mask", "confidence", "class_id", "tracker_id"):
        np.testing.assert_array_equal(getattr(back, field), getattr(detections, field), field)
    assert back.data["class_name"].tolist() == ["face", "cat"]


def test_what_is_not_there_is_not_made_up(supervision: Any) -> None:
    bare = supervision.Detections(xyxy=np.array([[1.0, 2.0, 3.0, 4.0]]))
    assert from_supervision(bare).keys() == {"boxes", "data"}
    back = to_supervision(published(from_supervision(bare)))
    assert (back.mask, back.confidence, back.class_id, back.tracker_id, back.data) == (None,) * 4 + ({},)


def test_numbers_of_classes_serve_as_labels_but_are_no_names(supervision: Any) -> None:
    detections = supervision.Detections(xyxy=np.array([[1.0, 2.0, 3.0, 4.0]]), class_id=np.array([3]))
    result = published(from_supervision(detections))
    assert result.labels == ("3",)
    assert to_supervision(result).data == {}


def test_nothing_found_stays_nothing_found(supervision: Any) -> None:
    result = published(from_supervision(supervision.Detections.empty()))
    assert (result.boxes, result.data) == ((), {})
    assert len(to_supervision(result).xyxy) == 0


@pytest.mark.parametrize(
    "data",
    [
        {"class_id": [1, 2], "tracker_id": "7", "mask_of": [5]},
        {"class_id": [True], "tracker_id": [1.5], "mask_of": [-1]},
        {"class_id": [2**70], "tracker_id": None, "mask_of": [0, 0]},
    ],
)
def test_data_of_others_breaks_nothing(supervision: Any, data: dict[str, Any]) -> None:
    triangle = ((0.0, 0.0), (5.0, 0.0), (0.0, 5.0))
    back = to_supervision(found(boxes=((1.0, 2.0, 3.0, 4.0),), polygons=(triangle,), data=data))
    assert (back.class_id, back.tracker_id, back.mask) == (None, None, None)


@pytest.mark.skipif(INSTALLED, reason="supervision is installed")
def test_without_the_library_one_line_says_what_to_do() -> None:
    with pytest.raises(FanlightError, match="supervision is not installed: pip install supervision"):
        to_supervision(found())
