"""Settings in layers: defaults, then `FANLIGHT_*`, then flags. Read once, checked once, then fixed.

A table of `Option`s describes one command line. `add_flags` puts it into argparse, `resolve` reads the
layers with the same parser for each, so that `FANLIGHT_FPS=0` and `--fps 0` are refused alike.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from fanlight.common.model.address import DEFAULT_URL
from fanlight.common.model.frame import MAX_PIXELS
from fanlight.common.model.redact import without_passwords
from fanlight.common.model.units import checked, pixels
from fanlight.common.model.units import flag as flag_value
from fanlight.common.model.units import name as stream_name


@dataclass(frozen=True, slots=True)
class Option:
    """One setting.

    Attributes:
        name: as on the command line without the dashes: `max-age`. The environment variable is
            `FANLIGHT_MAX_AGE`, the field of the settings `field` or else `max_age`.
        parse: reads the text; raises ValueError with what is allowed.
        default: used when neither flag nor environment says anything.
        switch: True for a flag that takes no value.
        repeated: True for a flag that may be given several times; its environment variable takes
            several values separated by commas.
        secret: True for what must not stand on a command line: it comes from the environment alone, and
            no error repeats it.
    """

    name: str
    parse: Callable[[str], Any]
    default: Any
    help: str
    metavar: str | None = None
    field: str | None = None
    switch: bool = False
    repeated: bool = False
    secret: bool = False

    @property
    def key(self) -> str:
        return self.field or self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        return "FANLIGHT_" + self.name.replace("-", "_").upper()


STREAM = Option("stream", stream_name, "cam", "name of the stream (default: cam)", "NAME")
URL = Option(
    "url",
    str,
    DEFAULT_URL,
    f"the broker (default: {DEFAULT_URL}); or tcp+multiplex://HOST:PORT or tcp+threads://HOST:PORT, "
    "where the producer listens itself",
    "URL",
)
MAX_PIXELS_OPTION = Option(
    "max-pixels",
    pixels,
    MAX_PIXELS,
    "refuse larger pictures, before any memory is taken for them: a number of pixels, or WIDTHxHEIGHT "
    "(default: 7680x4320)",
    "N",
)


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose refusals are one line, without the usage text before them.

    Flags are to be written in full: half a name that is unique today may mean another flag tomorrow.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        told = without_passwords(" ".join(message.split()))
        self.exit(2, f"{self.prog}: {told} (see {self.prog} --help)\n")


def add_flags(parser: argparse.ArgumentParser, options: Sequence[Option]) -> None:
    """Add a flag for every option. Values stay text until `resolve` reads them."""
    for option in options:
        if option.secret:
            continue
        described = f"{option.help} [{option.variable}]".replace("%", "%%")
        flags = f"--{option.name}"
        if option.switch:
            parser.add_argument(flags, dest=option.key, action="store_const", const="1", help=described)
        elif option.repeated:
            parser.add_argument(
                flags, dest=option.key, action="append", metavar=option.metavar, help=described
            )
        else:
            parser.add_argument(flags, dest=option.key, metavar=option.metavar, help=described)


def resolve(
    options: Sequence[Option], flags: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Any]:
    """The value of every option, by its key.

    Raises:
        ConfigError: a value that cannot be read, named after the flag or variable it came from.
    """
    values: dict[str, Any] = {}
    for option in options:
        given, origin = flags.get(option.key), f"--{option.name}"
        if given is None and option.variable in environment:
            text, origin = environment[option.variable], option.variable
            given = [part for part in text.split(",") if part] if option.repeated else text
        values[option.key] = option.default if given is None else _read(option, given, origin)
    return values


def _read(option: Option, given: Any, origin: str) -> Any:
    parse = flag_value if option.switch else option.parse
    if option.repeated:
        return tuple(checked(origin, text, parse) for text in given)
    return checked(origin, given, parse)
