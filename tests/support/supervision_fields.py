"""What supervision 0.31 documents of `Detections`, `mask_to_polygons` and `polygon_to_mask`.

In place of the library where it is not installed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np


@dataclass
class Detections:
    xyxy: Any
    mask: Any = None
    confidence: Any = None
    class_id: Any = None
    tracker_id: Any = None
    data: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> Detections:
        none = np.empty((0, 4), np.float32), np.array([], np.float32), np.array([], int)
        return cls(none[0], confidence=none[1], class_id=none[2])


def mask_to_polygons(mask: Any) -> list[Any]:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    return [np.squeeze(each, axis=1) for each in contours if len(each) >= 3]


def polygon_to_mask(polygon: Any, resolution_wh: tuple[int, int]) -> Any:
    mask = np.zeros(resolution_wh[::-1], np.uint8)
    cv2.fillPoly(mask, [polygon.astype(np.int32)], color=(1,))
    return mask
