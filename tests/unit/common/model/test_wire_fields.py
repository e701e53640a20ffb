"""The checks that all formats on the wire share; what each format makes of them is tested with it."""

from __future__ import annotations

import pytest

from fanlight.common.model import wire_fields
from fanlight.common.model.errors import WireFormatError
from fanlight.common.model.wire_fields import MAX_INT63


@pytest.mark.parametrize("value", ["cam", "A-1_b", "x" * 64])
def test_names_that_exchanges_and_files_can_have_are_accepted(value: str) -> None:
    assert wire_fields.name({"name": value}, "name") == value


@pytest.mark.parametrize("value", [None, 1, b"cam", "", "x" * 65, "a.b", "a/b", "cam\n", "ä"])
def test_other_names_are_refused(value: object) -> None:
    with pytest.raises(WireFormatError, match=r"(?s)^stream.*1 to 64 letters, digits, '-' or '_'"):
        wire_fields.name({"stream": value})


@pytest.mark.parametrize("value", [-1, 0, MAX_INT63])
def test_whole_numbers_within_the_limits_are_accepted(value: int) -> None:
    assert wire_fields.whole({"seq": value}, "seq", -1) == value


@pytest.mark.parametrize("value", [None, True, 1.0, "1", -1, 11])
def test_other_numbers_are_refused(value: object) -> None:
    with pytest.raises(WireFormatError, match=r"^width.*a whole number from 0 to 10"):
        wire_fields.whole({"width": value}, "width", 0, 10)


def test_a_switch_is_a_boolean_or_its_default() -> None:
    assert wire_fields.truth({"key": True}, "key") is True
    assert wire_fields.truth({}, "key", False) is False


@pytest.mark.parametrize("value", [None, 0, 1, "true"])
def test_other_switches_are_refused(value: object) -> None:
    with pytest.raises(WireFormatError, match=r"^key.*true or false"):
        wire_fields.truth({"key": value}, "key")
