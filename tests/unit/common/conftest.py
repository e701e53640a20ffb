"""How the property tests of this tree run.

The same examples every time, so that a stranger's first run passes or fails as ours did.
`FANLIGHT_TEST_EXAMPLES=20000` looks for new ones, at random, for as long as that takes.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_EXAMPLES = os.environ.get("FANLIGHT_TEST_EXAMPLES")

settings.register_profile(
    "fanlight",
    max_examples=int(_EXAMPLES or 100),
    derandomize=_EXAMPLES is None,
    deadline=None,  # a loaded machine is slow, not wrong
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("fanlight")
