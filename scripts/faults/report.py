"""What a soak found, as a table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from common.stats import percentile
from scripts.faults.run import Result


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
