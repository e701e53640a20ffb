#!/usr/bin/env python3
"""Draw what `scripts/bench.py designs` measured: PNG files, and report.html that holds all of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # A script sees its own folder, not the checkout.

from scripts.measure import report  # noqa: E402


def main(argv: list[str] | None = None) -> int:
    """Draw one results folder."""
    parser = argparse.ArgumentParser(prog="plot", description=__doc__)
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a folder that the benchmark left")
    arguments = parser.parse_args(argv)
    try:
        print(report.write(arguments.results))
    except (OSError, ValueError, KeyError) as error:
        print(f"plot: {arguments.results} cannot be drawn: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
