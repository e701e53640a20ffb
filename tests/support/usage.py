"""What programs may do with an object: said at the test that shows it, and a table in docs/programs.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Test = TypeVar("Test", bound=Callable[..., Any])


def usage(thing: str, situation: str, says: str) -> Callable[[Test], Test]:
    """The cell of the table that this test is for. `scripts/usage_table.py` reads it in the source.

    Args:
        thing: one of its `THINGS`.
        situation: one of its `SITUATIONS`.
        says: the text of the cell.
    """
    del thing, situation, says

    def unchanged(test: Test) -> Test:
        return test

    return unchanged
