"""The page that a person looks at: self-contained, plots and all."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_STYLE: Final = """
:root { color-scheme: light; --ink: #22303a; --soft: #66757f; --line: #dde3e6; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); margin: 0; background: #f6f8f9; }
main { max-width: 1180px; margin: 0 auto; padding: 2rem 1.5rem 5rem; background: #fff; }
h1 { font-size: 1.9rem; margin: 0 0 .3rem; }
h2 { margin-top: 2.6rem; border-bottom: 2px solid var(--line); }
p.lead, figcaption, .note { color: var(--soft); }
nav a { margin-right: 1.2rem; color: #2a7f9e; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 12.5px; margin: 1rem 0; }
th, td { padding: .28rem .55rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th, td { text-align: right; }
th { background: #eef2f4; }
td:nth-child(-n+2), th:nth-child(-n+2) { text-align: left; }
td.yes { color: #2e7d4f; font-weight: 600; }
td.no { color: #b3392e; font-weight: 600; }
tr.group td { border-top: 2px solid #b9c4ca; }
figure { margin: 1.6rem 0; }
img { max-width: 100%; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: 13px; }
dd { margin: 0; }
"""


def page(
    machine: Mapping[str, Any],
    notes: Sequence[str],
    parts: Mapping[str, Sequence[Sequence[str]]],
    plots: Sequence[tuple[Path, str]],
) -> str:
    """HTML of machine, notes, tables (title and rows) and plots (file and what it shows)."""
    facts = {name: value for name, value in machine.items() if value is not None}
    described = "".join(
        f"<dt>{html.escape(n)}</dt><dd>{html.escape(str(v))}</dd>" for n, v in facts.items()
    )
    figures = "".join(
        f'<figure><img alt="{html.escape(text)}" src="data:image/png;base64,'
        f'{base64.b64encode(path.read_bytes()).decode()}"><figcaption>{html.escape(text)}</figcaption></figure>'
        for path, text in plots
    )
    sections = "".join(
        f'<h2 id="{at}">{html.escape(title)}</h2><div class="scroll">{_table(rows)}</div>'
        for at, (title, rows) in enumerate(parts.items())
    )
    links = "".join(f'<a href="#{at}">{html.escape(title)}</a>' for at, title in enumerate(parts))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Fanlight: one camera, many processes</title>
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><main>
<h1>One live camera, many processes</h1>
<p class="lead">Sender threads, one multiplexed loop, a broker, a broker with a hub: the same source, codec,
wire fields and consumers. Medians over the repeats; latency is capture to presentation, skew the time from
the first to the last client that shows a frame.</p>
<nav><a href="#plots">Plots</a>{links}<a href="#machine">Machine</a></nav>
<p class="note">{html.escape(" ".join(notes))}</p>
<h2 id="plots">Plots</h2>{figures}{sections}
<h2 id="machine">Machine and versions</h2><dl>{described}</dl>
</main></body></html>
"""


def _table(rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in rows[0])
    body, before = "", ""
    for row in rows[1:]:
        group = ' class="group"' if row[0] != before else ""
        body += f"<tr{group}>" + "".join(map(_cell, row)) + "</tr>"
        before = row[0]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(text: str) -> str:
    verdict = ' class="yes"' if text == "yes" else ' class="no"' if text.startswith("**") else ""
    return f"<td{verdict}>{html.escape(text.strip('*'))}</td>"
