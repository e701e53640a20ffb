"""What soaks found, as tables: `python -m scripts.faults.report FILE...` reads what `--out` has written."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from fanlight.common.model.stats import percentile
from scripts.faults.run import Result

_MOST_NAMED: Final = 3


def merged(results: Iterable[Result]) -> dict[str, list[float]]:
    """All recoveries by kind."""
    found: dict[str, list[float]] = {}
    for result in results:
        for name, seconds in result.recoveries.items():
            found.setdefault(name, []).extend(seconds)
    return found


def table(results: Sequence[Result]) -> str:
    """Faults by kind with recovery times, in Markdown."""
    rows = ["| fault | times | recovery p50 s | p99 | longest |", "|---|---|---|---|---|"]
    for name, seconds in sorted(merged(results).items()):
        p50, p99 = percentile(seconds, 0.5) or 0.0, percentile(seconds, 0.99) or 0.0
        rows.append(f"| {name} | {len(seconds)} | {p50:.2f} | {p99:.2f} | {max(seconds):.2f} |")
    return "\n".join(rows)


def levels(results: Sequence[Result]) -> str:
    """What all processes together held at first and at last, in Markdown."""
    rows = [
        "| fault | cycles | MiB, first → last | threads | descriptors | queues, connections |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        kinds = sorted(result.recoveries)
        names = ", ".join(kinds) if len(kinds) <= _MOST_NAMED else f"{len(kinds)} kinds"
        first, last = ([each[at] for each in result.levels.values()] for at in (0, -1))
        mib, threads, descriptors = (
            f"{sum(level[what] for level in first):.0f} → {sum(level[what] for level in last):.0f}"
            for what in range(3)
        )
        there = " → ".join(", ".join(map(str, result.broker_levels[at])) for at in (0, -1))
        rows.append(f"| {names} | {result.faults} | {mib} | {threads} | {descriptors} | {there} |")
    return "\n".join(rows)


def summary(result: Result) -> str:
    """One line for each thing that a reader asks."""
    lines = [
        f"seed {result.seed}, {result.seconds / 60:.1f} min, {result.broker}: {result.faults} faults, "
        f"{result.frames} frames checked, the oldest {result.oldest_ms:.0f} ms",
    ]
    if result.left_out:
        lines.append(f"left out, since this machine does not allow it: {', '.join(result.left_out)}")
    lines += [f"BROKEN {kind}: {times} times" for kind, times in sorted(result.kinds.items())]
    lines += [f"  {text}" for text in result.broken]
    if not result.kinds:
        lines.append("no invariant was broken")
    return "\n".join(lines)


def main(paths: Sequence[str]) -> int:
    """Print the tables of these files."""
    results = [Result(**json.loads(Path(path).read_text())) for path in paths]
    print("\n\n".join([table(results), levels(results), *map(summary, results)]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
