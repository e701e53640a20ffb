from __future__ import annotations

from typing import Any

import pytest

from fanlight.common.model.bye import Bye
from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.frame import APP_ID

BYE = Bye("cam", 2**63 - 1, 41)


@pytest.mark.parametrize("bye", [BYE, Bye("cam", 0, -1)])
def test_it_is_read_as_it_was_written_and_fields_of_later_versions_are_ignored(bye: Bye) -> None:
    assert Bye.from_amqp(bye.to_amqp() | {"why": "later"}, app_id=APP_ID) == bye


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        *[({name: None}, name) for name in ("v", "stream", "epoch", "seq")],
        *[({"v": value}, "v") for value in (2, True, "1")],
        *[({"stream": value}, "stream") for value in ("", "a b", b"cam")],
        *[({"epoch": value}, "epoch") for value in (-1, 2**63, 1.0, True)],
        *[({"seq": value}, "seq") for value in (-2, 2**63, "7")],
    ],
)
def test_the_first_wrong_field_is_named(headers: dict[str, Any], field: str) -> None:
    with pytest.raises(WireFormatError) as caught:
        Bye.from_amqp(BYE.to_amqp() | headers, app_id=APP_ID)
    assert caught.value.field == field


def test_a_message_of_others_is_refused() -> None:
    with pytest.raises(WireFormatError, match="app_id"):
        Bye.from_amqp(BYE.to_amqp(), app_id=None)
    with pytest.raises(WireFormatError, match="v is None"):
        Bye.from_amqp(None, app_id=APP_ID)
