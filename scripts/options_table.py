"""Writes the tables of options in README.md: `python -m scripts.options_table`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from fanlight.common.runtime.credential_files import CredentialFiles
from fanlight.common.runtime.options import Option, options_of
from fanlight.common.runtime.settings import Operation, StreamSettings
from fanlight.consumer.settings import ConsumerSettings
from fanlight.producer.settings import ProducerSettings

README: Final = Path(__file__).parents[1] / "README.md"
_COMMON: Final = options_of(StreamSettings, CredentialFiles, Operation)
TABLES: Final = {
    "producer": [each for each in options_of(ProducerSettings) if each not in _COMMON],
    "consumer": [each for each in options_of(ConsumerSettings) if each not in _COMMON],
    "both": [each for each in _COMMON if not each.secret],
}


def written(text: str) -> str:
    """The text with its tables as they have to be, each between the comments that name it."""
    for name, options in TABLES.items():
        begin, end = f"<!-- options: {name} -->\n", f"<!-- end: {name} -->"
        table = f"{begin}{_table(options)}{end}"
        text, found = re.subn(f"{begin}.*?{end}", table.replace("\\", r"\\"), text, flags=re.DOTALL)
        if found != 1:
            raise ValueError(f"README.md has {found} tables of options that are called {name}")
    return text


def _table(options: list[Option]) -> str:
    rows = [("flag", "default", "meaning", "variable"), ("---",) * 4]
    for each in options:
        default = each.default_text if each.shown is not None or each.switch else f"`{each.default_text}`"
        rows.append((f"`{each.flag}`", default, each.help, f"`{each.variable}`"))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
