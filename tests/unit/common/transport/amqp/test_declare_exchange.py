from __future__ import annotations

import pytest

from fanlight.common.transport.amqp.declare_exchange import ExchangeDeclaration


@pytest.mark.parametrize(
    ("codes", "again", "passive"),
    [
        ([], [], True),
        ([404], [True], False),
        ([404, 403], [True, True], True),
        ([404, 403, 404, 403, 404], [True, True, False, False, False], True),
        ([None, 0, 403, 405, 406, 530], [False] * 6, True),
    ],
    ids=["checks first", "declares a missing one", "waits if refused", "never loops", "other errors"],
)
def test_an_exchange_is_checked_for_declared_and_waited_for(
    codes: list[int | None], again: list[bool], passive: bool
) -> None:
    declaration = ExchangeDeclaration()
    assert [declaration.again(code) for code in codes] == again
    assert declaration.passive is passive
