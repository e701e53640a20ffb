"""The options of the commands, each declared once, as a field of a dataclass.

    @dataclass(frozen=True, kw_only=True)
    class Settings(OptionGroup):
        gop_s: float = option(1.0, units.duration(3600), "time between keyframes", "TIME")

That line defines the flag `--gop`, the variable `FANLIGHT_GOP`, their default and range, the text of
`--help`, the row in docs/reference.md, and the argument `gop_s` of programs. Flags take precedence over the
environment, and the environment over defaults.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Final, Self, TypeVar

from fanlight.common.model.errors import ConfigError
from fanlight.common.model.units import FILE, SWITCH, Notation, checked

_LOG = logging.getLogger(__name__)

T = TypeVar("T")
_METADATA: Final = "option"
_RENAMED: Final = "%s is now called %s; the old name goes with the next release"


@dataclass(frozen=True, slots=True)
class Option:
    """One setting.

    Attributes:
        shown: text for the default, if the notation cannot express it.
        repeated: the flag may be given several times; its variable has several values, separated by commas.
        secret: read from the environment only, and never part of an error text.
        old_name: former name, still accepted with a warning.
        field: name of the field in the dataclass.
        name: name of the flag without dashes; by default the field's name without its unit.
        title: that of the group that declares it.
    """

    default: Any
    notation: Notation[Any]
    help: str
    metavar: str | None
    shown: str | None
    repeated: bool
    secret: bool
    old_name: str | None
    name: str
    field: str = ""
    title: str = ""

    @property
    def flag(self) -> str:
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        return _variable(self.name)

    @property
    def switch(self) -> bool:
        """Whether the flag takes no value."""
        return self.notation is SWITCH

    @property
    def default_text(self) -> str:
        """The default in the option's own notation, or in words."""
        return self.notation.write(self.default) if self.shown is None else self.shown

    def check(self, value: Any) -> Any:
        """Check a value that a program passes. Raises ConfigError with the name of the flag."""
        try:
            if self.repeated:
                return tuple(self.notation.check(each) for each in value)
            if value is self.default is None:
                return None
            value = self.notation.check(value)
            # No shell expands the ~ in `--ca=~/x` or in a variable.
            return os.path.expanduser(value) if self.notation is FILE else value
        except (TypeError, ValueError) as error:
            name, shown = (self.variable, "") if self.secret else (self.flag, value)
            raise ConfigError(name, shown, f"allowed is {error}") from None

    def read(self, given: Any, origin: str) -> Any:
        """Parse the text of a flag or variable; `given` is a list of texts if the option is repeated."""
        if self.repeated:
            return tuple(checked(origin, text, self.notation.read) for text in given)
        return checked(origin, given, self.notation.read)


def option(
    default: T,
    notation: Notation[Any],
    help: str,  # noqa: A002 - as in argparse
    metavar: str | None = None,
    *,
    name: str = "",
    shown: str | None = None,
    repeated: bool = False,
    secret: bool = False,
    old_name: str | None = None,
    repr: bool = True,  # noqa: A002 - as in dataclasses
) -> T:
    """A field of an `OptionGroup`; see `Option`. Typed as its default, as `dataclasses.field` is."""
    made = Option(default, notation, help, metavar, shown, repeated, secret, old_name, name)
    return field(default=default, repr=repr and not secret, metadata={_METADATA: made})


class OptionGroup:
    """Base of frozen dataclasses with options. Values are checked whenever an instance is made.

    Attributes:
        title: the heading in `--help` above the options that a class declares itself.
    """

    title: ClassVar[str] = "options"

    def __post_init__(self) -> None:
        for each in options_of(type(self)):
            object.__setattr__(self, each.field, each.check(getattr(self, each.field)))

    @classmethod
    def load(cls, flags: Mapping[str, Any], environment: Mapping[str, str]) -> Self:
        """Make an instance from a command line and an environment.

        Raises:
            ConfigError: a value is invalid; has the name of the flag or variable.
        """
        return cls(**resolve(options_of(cls), flags, environment))


def options_of(*groups: type[OptionGroup]) -> tuple[Option, ...]:
    """The options of these classes, own options before inherited ones; each name once."""
    found: dict[str, Option] = {}
    for group in groups:
        declared = fields(group)  # type: ignore[arg-type]
        own = [each for each in declared if each.name in group.__annotations__]
        for each in (*own, *declared):
            made = each.metadata.get(_METADATA)
            if made is not None:
                name = made.name or each.name.removesuffix("_s").removesuffix("_bytes").replace("_", "-")
                found.setdefault(
                    name, replace(made, name=name, field=each.name, title=_title(group, each.name))
                )
    return tuple(found.values())


def _title(group: type[OptionGroup], name: str) -> str:
    """That of the class that declares the field."""
    classes = reversed(group.__mro__)
    return next(by.title for by in classes if issubclass(by, OptionGroup) and name in by.__annotations__)


def add_flags(parser: argparse.ArgumentParser, *groups: type[OptionGroup]) -> None:
    """Add a flag for every option, under the title of its group. Values remain text until `resolve`."""
    options = options_of(*groups)
    names = dict.fromkeys(each.title for each in options)
    titles = {name: parser.add_argument_group(name) for name in names}
    for each in options:
        if each.secret:
            continue
        group = titles[each.title]
        described = f"{each.help} (default: {each.default_text}) [{each.variable}]".replace("%", "%%")
        if each.switch:
            group.add_argument(each.flag, dest=each.field, action="store_const", const="1", help=described)
            continue
        action = "append" if each.repeated else "store"
        group.add_argument(each.flag, dest=each.field, action=action, metavar=each.metavar, help=described)
        if each.old_name is not None:
            group.add_argument(f"--{each.old_name}", dest=each.old_name, help=argparse.SUPPRESS)


def resolve(
    options: Iterable[Option], flags: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Any]:
    """The values of flags and variables by field; options that are not given are missing.

    Raises:
        ConfigError: a value is invalid; has the name of the flag or variable.
    """
    values = {}
    for each in options:
        given, origin = _given(each, flags, environment)
        if given is not None:
            if each.repeated and isinstance(given, str):
                given = [part for part in given.split(",") if part]
            values[each.field] = each.read(given, origin)
    return values


def _given(each: Option, flags: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[Any, str]:
    """The text that was given for an option, and the flag or variable it came from; or None."""
    if (given := flags.get(each.field)) is not None:
        return given, each.flag
    if (old := each.old_name) is not None:
        # The old variable first: where it is set, the new one was set for its former meaning.
        for given, origin, now in (
            (flags.get(old), f"--{old}", each.flag),
            (_line(environment, _variable(old)), _variable(old), each.variable),
        ):
            if given is not None:
                _LOG.warning(_RENAMED, origin, now)
                return given, origin
    return _line(environment, each.variable), each.variable


def _line(environment: Mapping[str, str], variable: str) -> str | None:
    """The value, without the line end that secrets of Docker and Kubernetes often have."""
    value = environment.get(variable)
    return None if value is None else without_line_end(value)


def without_line_end(text: str) -> str:
    """The text without one line end."""
    return text.removesuffix("\n").removesuffix("\r")


def _variable(name: str) -> str:
    return "FANLIGHT_" + name.replace("-", "_").upper()
