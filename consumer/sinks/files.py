"""Shared by the sinks that write files: errors, retries, and the writing thread."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fanlight.common.model.errors import ConfigError, SinkError
from fanlight.common.model.rate_limit import RateLimiter
from fanlight.common.model.reasons import reason

_LOG: Final = logging.getLogger(__name__)
_CLOSE_TIMEOUT_S: Final = 5.0
_RETRY_NS: Final = 1_000_000_000
_REMEDIES: Final = {
    errno.EAGAIN: "read it",
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EMFILE: "raise its limit of open files",
    errno.ENFILE: "raise the limit of open files",
}


def require_suffix(kind: str, path: Path, allowed: tuple[str, ...]) -> str:
    """The extension of `path`, in lower case with its dot.

    Raises:
        ConfigError: it is not one of `allowed`.
    """
    suffix = path.suffix.lower()
    if suffix not in allowed:
        endings = f"{', '.join(allowed[:-1])} or {allowed[-1]}"
        raise ConfigError("--sink", f"{kind}:{path}", f"allowed is a file name that ends in {endings}")
    return suffix


def only_writer(path: str, flags: int) -> int:
    """An `opener` for which neither a FIFO without a reader nor a full one is waited for.

    A file that another process, or another sink by another name, writes in this way stays as it is.
    """
    try:
        file = os.open(path, (flags | os.O_NONBLOCK) & ~os.O_TRUNC, 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(os.stat(path).st_mode):
            error.strerror = "it is a FIFO, and nobody reads it: start its reader first"
        raise
    if stat.S_ISREG(os.fstat(file).st_mode):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(file)
            error.strerror = "another consumer writes it: choose another name"
            raise
        except OSError:  # a file system without locks
            pass
        os.truncate(file, 0)
    return file


def unusable(kind: str, path: Path, error: OSError) -> ConfigError:
    """The error for a file that cannot be opened for writing."""
    allowed = f"allowed is a file that can be written ({reason(error)})"
    return ConfigError("--sink", f"{kind}:{path}", allowed)


def failed(kind: str, path: Path, error: Exception) -> SinkError:
    """The error for a file that cannot be written any further."""
    return SinkError(f"{kind}:{path} cannot be written any further: {reason(error)}")


class WriteRetry:
    """Decides when to retry a file that cannot be written, and what to log.

    A full or missing disk must not end a consumer that has other sinks: one warning is logged, and writing
    resumes when it is possible again. All `now_ns` are monotonic.

    Args:
        room_bytes: after ENOSPC, retry only with this much free space.
    """

    def __init__(self, kind: str, path: Path, room_bytes: int = 0) -> None:
        self._kind = kind
        self._path = path
        self._room_bytes = room_bytes
        self._error: OSError | None = None
        self._tried_ns = 0
        self._limiter = RateLimiter()
        self._warned = False

    @property
    def failing(self) -> bool:
        """Whether the last write failed."""
        return self._error is not None

    @property
    def failure(self) -> SinkError | None:
        """The error to raise at the end if the last write failed."""
        return None if self._error is None else failed(self._kind, self._path, self._error)

    def failed(self, error: OSError, now_ns: int) -> None:
        """A write failed; logged if the previous one succeeded."""
        began = not self.failing
        self._error, self._tried_ns = error, now_ns
        if began and self._limiter.allow(now_ns) is not None:
            self._warned = True
            remedy = _REMEDIES.get(error.errno or 0, "mend that")
            _LOG.warning(
                "%s:%s cannot be written: %s; %s, it goes on by itself",
                self._kind, self._path, reason(error), remedy,
            )  # fmt: skip

    def succeeded(self, missing: str = "") -> None:
        """A write succeeded; `missing` is appended to the log line."""
        self._error = None
        if self._warned:
            self._warned = False
            _LOG.warning("%s:%s can be written again%s", self._kind, self._path, missing)

    def due(self, now_ns: int) -> bool:
        """Whether to write now: always after a success, once a second after a failure."""
        if self._error is None:
            return True
        if now_ns - self._tried_ns < _RETRY_NS:
            return False
        self._tried_ns = now_ns
        return self._error.errno != errno.ENOSPC or self._has_room()

    def _has_room(self) -> bool:
        try:
            left = os.statvfs(self._path.parent)
        except OSError:
            return False
        return left.f_bavail * left.f_frsize >= self._room_bytes


class FileThread:
    """Runs `work`, which writes a file, on its own thread. `check` and `close` raise its error.

    Args:
        stop: makes `work` write pending data and return.
    """

    def __init__(self, kind: str, path: Path, work: Callable[[], None], stop: Callable[[], None]) -> None:
        self._kind = kind
        self._path = path
        self._work = work
        self._stop = stop
        self._failure: SinkError | None = None
        self._thread = threading.Thread(target=self._run, name=kind, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise, once, the error that ended `work`."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def close(self) -> None:
        self._stop()
        self._thread.join(_CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            raise SinkError(f"{self._kind}:{self._path} was not finished within {_CLOSE_TIMEOUT_S:g} s")
        self.check()

    def _run(self) -> None:
        try:
            self._work()
        except SinkError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001 - raised on the presenting thread
            self._failure = failed(self._kind, self._path, error)
