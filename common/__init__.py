"""Code of both producers and consumers: `model` (pure), `codec`, `shm`, `transport`, `runtime`, `observe`.

`tests/unit/test_layout.py` checks which of these may import which.
"""
