"""The contract between producers and consumers: wire form, freshness rules, settings, statistics.

Every module directly in this package is pure: no broker client, codec, socket or thread, and no
reading of the time (`clock` is the one exception). `tests/unit/common/test_purity.py` enforces it.
"""
