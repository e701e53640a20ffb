"""Where a hub of this host listens, without a broker."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
from pathlib import Path
from typing import Final

from common.address import TcpAddress
from common.clock import wall_ns
from common.sharing.hosts import FOLDER

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 - names to compare with
_YOUNG_NS: Final = 5_000_000_000


def local_place(address: TcpAddress, stream: str, share: str) -> Path:
    """Where a hub listens. In the folder of the pictures: whoever sees these can reach it, and nobody else.

    Args:
        address: the producer's. Two of them may publish streams of one name; each has hubs of its own.
        share: as for `topology.share_key`.
    """
    host = "localhost" if address.host in _LOOPBACK else address.host
    told = f"{os.geteuid()} {host}:{address.port} {stream}.{share}"
    # The path of such a socket is at most 107 bytes long (unix(7)): names would not always fit.
    return FOLDER / f"fanlight-{hashlib.sha256(told.encode()).hexdigest()[:16]}.sock"


def reclaim() -> None:
    """Delete the sockets of hubs of this user that were killed."""
    with contextlib.suppress(OSError):
        for path in FOLDER.glob("fanlight-*.sock"):
            found = path.lstat()
            young = wall_ns() - found.st_mtime_ns < _YOUNG_NS  # it may not listen yet
            if stat.S_ISSOCK(found.st_mode) and found.st_uid == os.geteuid() and not young:
                _delete_if_dead(path)


def _delete_if_dead(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except OSError:
            return
