from __future__ import annotations

import pytest

from fanlight.common.codec.base import check_size
from fanlight.common.model.errors import DecodeError
from fanlight.common.model.frame import Codec
from tests.unit.common.codec.build import framed

FRAME = framed(Codec.PNG, b"x", (63, 47))


def test_the_size_in_the_body_is_the_headers_or_the_expected_one() -> None:
    check_size(FRAME, (63, 47))
    check_size(FRAME, (64, 48), expected=(64, 48))
    for found, expected in (((47, 63), None), ((0, 0), None), ((63, 47), (64, 48))):
        with pytest.raises(DecodeError, match=f"png body is {found[0]}x{found[1]}: its header says 63x47"):
            check_size(FRAME, found, expected)
