"""Where a hub of this host listens, without a broker."""

from __future__ import annotations

import hashlib
from pathlib import Path

from common.sharing.hosts import FOLDER


def local_place(stream: str, share: str) -> Path:
    """Where a hub listens. In the folder of the pictures: whoever sees these can reach it, and nobody else.

    Args:
        share: as for `topology.share_exchange`.
    """
    # The path of such a socket is at most 107 bytes long (unix(7)): names would not always fit.
    name = hashlib.sha256(f"{stream}.{share}".encode()).hexdigest()[:16]
    return FOLDER / f"fanlight-{name}.sock"
