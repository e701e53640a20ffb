from __future__ import annotations

from fanlight.common.users import user_name


def test_a_user_has_his_name_or_his_number() -> None:
    assert user_name(0) == "root"
    assert user_name(3_999_999_999) == "3999999999"
