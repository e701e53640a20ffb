"""What JSON can hold, for property tests."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from fanlight.common.model.errors import ConfigError
from fanlight.common.model.meta import to_text

TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS: Final = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES: Final = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)


def _fits(meta: dict[str, Any]) -> bool:
    try:
        to_text(meta)
    except ConfigError:  # too deep or too large
        return False
    return True


METAS: Final = st.dictionaries(TEXTS, VALUES, max_size=4).filter(_fits)
"""Objects that a producer may send with a frame."""
