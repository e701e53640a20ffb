"""Writes the tables of options and sinks in docs/reference.md: `python -m scripts.options_table`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from fanlight.common.runtime.credential_files import CredentialFiles
from fanlight.common.runtime.options import Option, options_of
from fanlight.common.runtime.settings import Operation, StreamSettings
from fanlight.consumer.settings import ConsumerSettings
from fanlight.consumer.sink_spec import DESCRIPTIONS
from fanlight.consumer.wall.access_settings import WebSettings
from fanlight.consumer.wall.settings import WallSettings
from fanlight.producer.settings import ProducerSettings

REFERENCE: Final = Path(__file__).parents[1] / "docs" / "reference.md"
_COMMON: Final = options_of(StreamSettings, CredentialFiles, Operation)
_WEB: Final = options_of(WebSettings)
OPTIONS: Final = {
    "producer": [each for each in options_of(ProducerSettings) if each not in _COMMON],
    "consumer": [each for each in options_of(ConsumerSettings) if each not in (*_COMMON, *_WEB)],
    "wall": [each for each in options_of(WallSettings) if each not in (*_COMMON, *_WEB)],
    "web": [each for each in _WEB if not each.secret],
    "both": [each for each in _COMMON if not each.secret],
}


def written(text: str) -> str:
    """The text with its tables as they have to be, each between the comments that name it."""
    tables = {
        f"options: {name}": _table(("flag", "default", "meaning", "variable"), map(_row, options))
        for name, options in OPTIONS.items()
    }
    sinks = ((f"`{form}`", does) for form, does in DESCRIPTIONS.items())
    tables["sinks"] = _table(("sink", "what it does"), sinks)
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end: {name} -->"
        whole = f"{begin}{table}{end}"
        text, found = re.subn(f"{begin}.*?{end}", whole.replace("\\", r"\\"), text, flags=re.DOTALL)
        if found != 1:
            raise ValueError(f"{REFERENCE.name} has {found} tables that are called {name!r}")
    return text


def _row(each: Option) -> tuple[str, str, str, str]:
    default = each.default_text if each.shown is not None or each.switch else f"`{each.default_text}`"
    return f"`{each.flag}`", default, each.help, f"`{each.variable}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ("---",) * len(head), *rows))


if __name__ == "__main__":
    REFERENCE.write_text(written(REFERENCE.read_text()))
