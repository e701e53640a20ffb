"""The exceptions that Fanlight raises, all derived from `FanlightError`."""

from __future__ import annotations

from fanlight.common.model.redact import url_without_secrets


class FanlightError(Exception):
    """Base of all errors below. `str()` is one sentence for the user."""


class ConfigError(FanlightError):
    """A setting that cannot be used (exit code 2). Names the setting, the value and what is allowed.

    Attributes:
        name: the setting, as written by the user (`--fps`, `FANLIGHT_FPS`).
        value: the rejected value, without secrets.
        allowed: what is accepted.
    """

    def __init__(self, name: str, value: object, allowed: str) -> None:
        self.name = name
        self.value = url_without_secrets(value) if isinstance(value, str) else value
        self.allowed = allowed
        super().__init__(name, self.value, allowed)  # `pickle` calls the class with these

    def __str__(self) -> str:
        return f"{self.name} {_shortened(self.value, 200)} cannot be used: {self.allowed}"


class WireFormatError(FanlightError):
    """A message that does not follow the wire contract. Names the field, the value, what is allowed.

    Attributes:
        field: of the message.
        value: the rejected value.
        allowed: what is accepted.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        self.value = value
        self.allowed = allowed
        super().__init__(field, value, allowed)

    def __str__(self) -> str:
        return f"{self.field} is {_shortened(self.value)}: allowed is {self.allowed}"


class DecodeError(FanlightError):
    """A body that does not hold the picture that its header announces."""


class EncodeError(FanlightError):
    """A picture that cannot be encoded."""


class SourceError(FanlightError):
    """The source cannot be opened, or failed while running."""


class SinkError(FanlightError):
    """A sink cannot be opened, or failed while running."""


class SharingError(FanlightError):
    """Pictures cannot be shared within this host; they still come through the broker."""


class FrameExpired(FanlightError):
    """A shared picture was kept for longer than its grace time and has been overwritten."""


class ListenError(FanlightError):
    """A producer without a broker cannot listen at its address."""


class BrokerUnavailable(FanlightError):
    """Nothing answers at the broker's address. Worth trying again."""


class BrokerRefused(FanlightError):
    """The broker refused the connection. Trying again with the same settings will not help."""


class TokenRefused(FanlightError):
    """Consumer and a producer without a broker do not have the same token."""


class StreamEnded(FanlightError):
    """The stream was closed by its owner; there are no more frames."""


class WrongProcess(FanlightError):
    """A `Producer` or `Consumer` was used in a forked process, or passed to another one."""


def _shortened(value: object, limit: int = 60) -> str:
    """`repr` of an untrusted value, shortened to fit a log line."""
    if isinstance(value, (str, bytes)):
        text = repr(value[:limit])
        return text if len(value) <= limit else f"{text}... ({len(value)} long)"
    try:
        text = " ".join(repr(value).split())  # that of an array has several lines
    except Exception:  # noqa: BLE001 - nested too deep, a number of too many digits, a program's own class
        text = f"{type(value).__name__} that cannot be shown"
    return text if len(text) <= limit else f"{text[:limit]}..."
