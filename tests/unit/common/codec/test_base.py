from __future__ import annotations

import pytest

from fanlight.common.codec.base import check_announced
from fanlight.common.model.errors import DecodeError
from fanlight.common.model.frame import Codec
from tests.unit.common.codec.build import framed


def test_the_announced_size_is_accepted() -> None:
    check_announced(framed(Codec.PNG, b"x", (64, 48)), 64, 48)


@pytest.mark.parametrize("found", [(48, 64), (64, 49), (0, 0)])
def test_another_size_is_refused_and_both_are_named(found: tuple[int, int]) -> None:
    with pytest.raises(DecodeError, match=f"png body is {found[0]}x{found[1]}: its header says 64x48"):
        check_announced(framed(Codec.PNG, b"x", (64, 48)), *found)
