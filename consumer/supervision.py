"""Results from and to `supervision.Detections`, if that library (supervision.roboflow.com) is there.

    out.send(frame, **from_supervision(detections))
    detections = to_supervision(frame.results["people"])

| `Detections` | `Result` |
|---|---|
| `xyxy`, `confidence` | `boxes`, `scores` |
| `data["class_name"]`, else `class_id` | `labels` |
| `class_id`, `tracker_id` | `data["class_id"]`, `data["tracker_id"]` |
| `mask` | `polygons`, the outlines: holes are filled; `data["mask_of"]` has the detection of each |

Other `data` and `metadata` are not kept.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import numpy as np

from fanlight.common.model.errors import FanlightError
from fanlight.common.model.result import Result

_INSTALL: Final = "supervision is not installed: pip install supervision"


def from_supervision(detections: Any) -> dict[str, Any]:
    """What `Results.send` takes: boxes, labels, scores, polygons and data.

    Args:
        detections: a `supervision.Detections`, in pixels of the `image` of the frame that is sent.

    Raises:
        FanlightError: there are masks, and supervision is not installed.
    """
    found: dict[str, Any] = {"boxes": np.asarray(detections.xyxy)}
    data = {
        name: np.asarray(ids).tolist()
        for name, ids in (("class_id", detections.class_id), ("tracker_id", detections.tracker_id))
        if ids is not None and len(ids)
    }
    labels = detections.data.get("class_name", data.get("class_id"))
    if labels is not None:
        found["labels"] = list(map(str, labels))
    if detections.confidence is not None:
        found["scores"] = np.asarray(detections.confidence)
    if detections.mask is not None:
        outlines_of = _supervision().mask_to_polygons
        outlines = [
            (index, outline)
            for index, mask in enumerate(detections.mask)
            for outline in outlines_of(np.asarray(mask, dtype=bool))
        ]
        found["polygons"] = [outline for _, outline in outlines]
        data["mask_of"] = [index for index, _ in outlines]
    return found | {"data": data}


def to_supervision(result: Result) -> Any:
    """A `supervision.Detections` in pixels of `result.width` x `result.height`.

    Args:
        result: as in `Frame.results`.

    Raises:
        FanlightError: supervision is not installed.
    """
    supervision = _supervision()
    count = len(result.boxes)
    if not count:
        return supervision.Detections.empty()
    class_ids = _numbers(result, "class_id", count)
    named = result.labels and result.labels != tuple(map(str, class_ids or ()))
    return supervision.Detections(
        xyxy=np.array(result.boxes, np.float32),
        mask=_masks(result, supervision.polygon_to_mask),
        confidence=np.array(result.scores, np.float32) if result.scores else None,
        class_id=np.array(class_ids) if class_ids else None,
        tracker_id=np.array(ids) if (ids := _numbers(result, "tracker_id", count)) else None,
        data={"class_name": np.array(result.labels)} if named else {},
    )


def _masks(result: Result, to_mask: Any) -> Any:
    owners = _numbers(result, "mask_of", len(result.polygons))
    if owners is None or not all(0 <= each < len(result.boxes) for each in owners):
        return None
    masks = np.zeros((len(result.boxes), result.height, result.width), bool)
    for owner, polygon in zip(owners, result.polygons, strict=True):
        masks[owner] |= to_mask(np.rint(polygon).astype(np.int32), (result.width, result.height)) != 0
    return masks


def _numbers(result: Result, name: str, count: int) -> list[int] | None:
    """A list of so many whole numbers in `data`; anybody may have published it."""
    numbers = result.data.get(name)
    if not isinstance(numbers, list) or len(numbers) != count:
        return None
    return numbers if all(type(each) is int and abs(each) < 2**63 for each in numbers) else None


def _supervision() -> Any:
    # Optional, and large: nothing else needs it.
    try:
        return import_module("supervision")
    except ImportError:
        raise FanlightError(_INSTALL) from None
