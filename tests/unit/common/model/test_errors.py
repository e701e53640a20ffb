from __future__ import annotations

import importlib
import inspect
import pickle
import re
from collections.abc import Callable
from inspect import getdoc
from pathlib import Path
from typing import Any

import pytest

from fanlight.common.model import errors
from fanlight.common.model.errors import ConfigError, FanlightError, WireFormatError
from tests.support.copies import EVERY_COPY


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


def real_classes() -> dict[str, type[BaseException]]:
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, BaseException)
    }


def test_every_error_is_a_fanlight_error_with_a_docstring() -> None:
    for cls in real_classes().values():
        assert issubclass(cls, FanlightError)
        assert not issubclass(cls, (ValueError, OSError)), f"{cls} would be swallowed by other handlers"
        assert getdoc(cls) != getdoc(FanlightError) or cls is FanlightError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            ConfigError("--fps", "0", "allowed is 1 to 1000"),
            "--fps '0' cannot be used: allowed is 1 to 1000",
        ),
        (ConfigError("FANLIGHT_FPS", 3, "why"), "FANLIGHT_FPS 3 cannot be used: why"),
        (ConfigError("--url", "a\nb", "why"), r"--url 'a\nb' cannot be used: why"),
    ],
)
def test_a_config_error_names_the_setting_the_value_and_the_rule(error: ConfigError, text: str) -> None:
    assert str(error) == text


STRANGE_VALUES: dict[str, tuple[object, str]] = {
    "nothing": (None, "None"),
    "large integer": (2**63, "9223372036854775808"),
    "bytes": (b"\x00\xff", r"b'\x00\xff'"),
    "two lines": ("two\nlines", r"'two\nlines'"),
    "lone surrogate": ("\ud800", r"'\ud800'"),
    "longest text": ("a" * 60, "'" + "a" * 60 + "'"),
    "long text": ("a" * 61, "'" + "a" * 60 + "'... (61 long)"),
    "long bytes": (b"a" * 1_000_000, "b'" + "a" * 60 + "'... (1000000 long)"),
    "long list": ([0] * 1000, "[" + "0, " * 19 + "0,..."),
    "endless integer": (10**5000, "int that cannot be shown"),
    "bottomless list": (nested(100_000), "list that cannot be shown"),
}


@pytest.mark.parametrize("case", STRANGE_VALUES)
def test_a_wire_format_error_shows_any_value_on_one_short_line(case: str) -> None:
    value, shown = STRANGE_VALUES[case]
    error = WireFormatError("seq", value, "a whole number")
    assert str(error) == f"seq is {shown}: allowed is a whole number"
    assert error.field == "seq"
    assert error.value is value
    assert error.allowed == "a whole number"


# Between processes -------------------------------------------------------------------------------------

Way = Callable[[FanlightError], FanlightError]
ROOT = Path(__file__).parents[4]
PACKAGES = ("common", "producer", "consumer")
ARGUMENTS = {"str": "one", "object": 2, "int": 3}


def all_errors() -> list[type[FanlightError]]:
    """Every class of the project, wherever it is defined."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if re.search(r"^class \w+\(.*Error\)", path.read_text(), re.MULTILINE):
                module = path.relative_to(ROOT).with_suffix("").parts
                importlib.import_module(".".join(("fanlight", *module)))
    classes = [FanlightError]
    for cls in classes:
        classes += cls.__subclasses__()
    return [cls for cls in classes if cls.__module__.startswith("fanlight.")]


def made(cls: type[FanlightError]) -> FanlightError:
    if cls.__init__ is FanlightError.__init__:
        return cls("camera 0 cannot be opened")
    parameters = inspect.signature(cls).parameters.values()
    arguments: list[Any] = [ARGUMENTS[parameter.annotation] for parameter in parameters]
    return cls(*arguments)


@pytest.mark.parametrize("cls", all_errors(), ids=lambda cls: cls.__name__)
@EVERY_COPY
def test_an_error_arrives_in_another_process_as_it_was(cls: type[FanlightError], copied: Way) -> None:
    error = made(cls)
    arrived = copied(error)
    assert type(arrived) is cls
    assert (str(arrived), vars(arrived)) == (str(error), vars(error))


def test_a_pickled_error_contains_no_password() -> None:
    error = ConfigError("--url", "amqp://user:secret@host/", "allowed is another")
    assert b"secret" not in pickle.dumps(error)


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError


class ManyLines:
    def __repr__(self) -> str:
        return "one\n  two\n" + "x" * 1000


def test_a_setting_is_named_in_one_line_whatever_its_value() -> None:
    for value in (Unprintable(), ManyLines(), 10**5000, "x" * 5000, nested(10**5)):
        said = str(ConfigError("--size", value, "allowed is another"))
        assert said.startswith("--size ")
        assert said.endswith(" cannot be used: allowed is another")
        assert "\n" not in said
        assert len(said) < 300
