"""What `scripts/broker up` remembers between two calls: one folder per instance in `.fanlight/`."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fanlight.common.model.errors import ConfigError
from scripts.lib.locked import locked

CHECKOUT = Path(__file__).resolve().parents[2]
STATE = CHECKOUT / ".fanlight"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,30}")


@dataclass(frozen=True, slots=True)
class Record:
    """A broker that was started.

    Attributes:
        way: which way of starting it: "docker" or "private".
        url: for FANLIGHT_URL.
        project: the Compose project; empty for a private node.
        console: address of the management console; empty if there is none.
    """

    way: str
    url: str = field(repr=False)
    project: str = ""
    console: str = ""


class Instance:
    """One named broker of this checkout."""

    def __init__(self, name: str) -> None:
        if not _NAME.fullmatch(name):  # also a folder and part of a Compose project's name
            raise ConfigError("--instance", name, "allowed are up to 31 of a-z, 0-9, '-' and '_'")
        self.name = name
        self.folder = STATE / name

    @property
    def node_folder(self) -> Path:
        return self.folder / "node"

    def read(self) -> Record | None:
        """What is remembered; None if nothing is."""
        try:
            return Record(**json.loads((self.folder / "broker.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, record: Record) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "broker.json").write_text(json.dumps(asdict(record)))

    def forget(self) -> None:
        """Remove the folder, and `.fanlight` with the last one."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            STATE.rmdir()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """One `up` or `down` at a time per checkout: two would choose the same ports."""
        with locked(CHECKOUT):
            yield
