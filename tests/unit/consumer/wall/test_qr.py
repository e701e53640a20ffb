"""See also test_server.py."""

from __future__ import annotations

import http.client

import cv2
import numpy as np
import segno

from fanlight.consumer.wall import qr
from tests.support.timing import scaled
from tests.unit.consumer.wall.serving import Served, served


def status(wall: Served, text: str) -> int:
    made = http.client.HTTPConnection("127.0.0.1", wall.port, timeout=scaled(30))
    try:
        made.request("GET", f"/qr.svg?u={text}")
        return made.getresponse().status
    finally:
        made.close()


def test_new_codes_are_limited_and_the_last_ones_are_kept() -> None:
    with served() as wall:
        assert status(wall, "first") == 200
        statuses = [status(wall, "x" * 300 + str(number)) for number in range(60)]
        assert set(statuses) == {200, 429}
        assert status(wall, "first") == 200


def test_a_code_can_be_read() -> None:
    text = "http://wall.lan:8080/?streams=" + "camera-of-the-door," * 5
    matrix = np.array(list(segno.make_qr(text, mask=qr.MASK).matrix_iter(scale=4, border=4)), np.uint8)
    read, *_ = cv2.QRCodeDetector().detectAndDecode(np.where(matrix, 0, 255).astype(np.uint8))
    assert read == text
