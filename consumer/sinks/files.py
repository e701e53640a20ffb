"""What the sinks that write files have in common: how they refuse and how they fail."""

from __future__ import annotations

from pathlib import Path

from common.errors import ConfigError, SinkError


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


def unusable(kind: str, path: Path, error: OSError) -> ConfigError:
    """The refusal of a file that cannot be opened for writing."""
    allowed = f"allowed is a file that can be written ({reason(error)})"
    return ConfigError("--sink", f"{kind}:{path}", allowed)


def failed(kind: str, path: Path, error: Exception) -> SinkError:
    """The failure of a file that was open."""
    return SinkError(f"{kind}:{path} cannot be written any further: {reason(error)}")


def reason(error: Exception) -> str:
    """An error's own words, without its number and the file name that libc and libav add."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or repr(error)
