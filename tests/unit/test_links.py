"""Links in the documents point to files that exist. The check is checked below."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.test_layout import PACKAGES, ROOT, exists, recorder, texts, violations


def broken_links(path: str, text: str, exists: Callable[[str], bool]) -> Iterator[str]:
    prose = re.sub(r"^(```|~~~).*?^\1|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(\s*<?([^)\s>]+)", prose) + re.findall(
        r"^\[[^\]]+\]:\s*(\S+)", prose, re.MULTILINE
    )
    folder = Path(path).parent
    for target in targets:
        file = target.partition("#")[0]
        if not file or re.match(r"[a-z][a-z0-9+.-]*:", file):
            continue
        if not exists((folder / file).as_posix()):
            yield f"{path} links to {target}, which is not there"


def test_links_in_the_documentation_point_to_files_that_exist() -> None:
    pages = texts("*.md", "docs", *PACKAGES, "scripts", "tests", "broker")
    pages += [(file.name, file.read_text()) for file in sorted(ROOT.glob("*.md"))]
    assert violations(broken_links, pages, exists) == []


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("[a](b.md)", ["docs/b.md"]),
        ("![a](img/b.png 'title') and [c](../README.md#top)", ["docs/img/b.png", "docs/../README.md"]),
        ("[a]: b.md", ["docs/b.md"]),
        ("[a](#here) [b](https://x.y/z) [c](mailto:a@b)", []),
        ("`[a](b.md)`\n```\n[a](b.md)\n```\n", []),
    ],
)
def test_links_are_found_in_prose_and_not_in_code(text: str, asked: list[str]) -> None:
    seen: list[str] = []
    wrong = list(broken_links("docs/page.md", text, recorder(seen)))
    assert seen == asked
    assert len(wrong) == len(asked)
