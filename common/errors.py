"""The former name of `fanlight.common.model.errors`; programs import the errors from `fanlight`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fanlight.common.model.errors import *  # noqa: F403 - the same names
else:
    from fanlight.common.former_names import warn_former_name
    from fanlight.common.model import errors

    def __getattr__(name: str) -> object:
        found = getattr(errors, name)
        if __name__ == "common.errors":
            warn_former_name(f"from fanlight import {name}")
        return found
