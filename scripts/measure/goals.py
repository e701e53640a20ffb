"""What has to be reached, what was measured, over all repeats."""

from __future__ import annotations

import csv
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Goal:
    """A limit for one figure of one case.

    Attributes:
        at_least: True if more is better.
        limit: None for a figure that is only printed.
    """

    case: str
    figure: str
    unit: str
    limit: float | None = None
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Whether a value is on the right side of the limit. What is not a number never is."""
        if self.limit is None:
            return True
        return value >= self.limit if self.at_least else value <= self.limit

    @property
    def wanted(self) -> str:
        if self.limit is None:
            return ""
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


class Score:
    """Collects figures by goal, one per repeat."""

    def __init__(self) -> None:
        self._values: dict[Goal, list[float]] = defaultdict(list)

    def add(self, goal: Goal, value: float) -> None:
        self._values[goal].append(value)

    def table(self) -> str:
        """Markdown: each figure's median and spread beside its limit."""
        lines = [
            "| case | figure | median | min – max | runs | must be | |",
            "|---|---|---|---|---|---|---|",
        ]
        for goal, values in self._values.items():
            middle = statistics.median(values)
            verdict = "" if goal.limit is None else ("yes" if goal.met(middle) else "**no**")
            spread = f"{min(values):.4g} – {max(values):.4g}"
            lines.append(
                f"| {goal.case} | {goal.figure} | {middle:.4g} {goal.unit} | {spread} | {len(values)} "
                f"| {goal.wanted} | {verdict} |"
            )
        return "\n".join(lines)

    def missed(self) -> list[Goal]:
        """Goals whose median is on the wrong side."""
        return [goal for goal, values in self._values.items() if not goal.met(statistics.median(values))]


def to_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows that need not all have the same columns."""
    columns = dict.fromkeys(column for row in rows for column in row)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(rows)
