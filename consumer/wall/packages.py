"""Words for packages of the wall that are missing: they are optional (docs/dependencies.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from fanlight.common.model.errors import FanlightError

NEEDED: Final = ("aiohttp", "segno")


@contextmanager
def wall_packages() -> Iterator[None]:
    """For imports of the server.

    Raises:
        FanlightError: one of its packages is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in NEEDED:
            raise
        needed = " and ".join(NEEDED)
        text = f"{error.name} is not installed: serving pages needs {needed}: pip install 'fanlight[wall]'"
        raise FanlightError(text) from None
