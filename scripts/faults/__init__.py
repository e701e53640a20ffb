"""Faults under load, and whether the promises hold meanwhile (`scripts/soak.py`)."""
