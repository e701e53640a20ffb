from __future__ import annotations

from fanlight.common.transport.amqp.declare_exchange import ExchangeDeclaration


def test_it_looks_first() -> None:
    assert ExchangeDeclaration().passive


def test_what_is_not_there_is_declared() -> None:
    declaring = ExchangeDeclaration()
    assert declaring.again(404)
    assert not declaring.passive


def test_who_may_not_declare_waits() -> None:
    declaring = ExchangeDeclaration()
    assert declaring.again(404)
    assert declaring.again(403)
    assert declaring.passive


def test_it_never_makes_a_loop() -> None:
    declaring = ExchangeDeclaration()
    assert [declaring.again(code) for code in (404, 403, 404, 403, 404)] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_any_other_end_is_somebody_elses_business() -> None:
    declaring = ExchangeDeclaration()
    assert not any(declaring.again(code) for code in (None, 0, 403, 405, 406, 530))
    assert declaring.passive
