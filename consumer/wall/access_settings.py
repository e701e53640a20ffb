"""The options that control who may use the gateway: those of `fanlight-wall`, and of `--sink web`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from fanlight.common.model.credentials import SHORTEST_TOKEN
from fanlight.common.model.errors import ConfigError
from fanlight.common.model.units import FILE, Notation
from fanlight.common.runtime.credential_files import one_line, warn_if_readable_by_others
from fanlight.common.runtime.options import OptionGroup, option
from fanlight.common.transport.cleartext import warn_unencrypted
from fanlight.common.transport.tcp.bind_check import beyond_loopback
from fanlight.consumer.wall.hosts import HOST_NAME

_NAME: Final = Notation(
    "the name of a host, as in its URL, without a port",
    str.lower,
    lambda name: HOST_NAME.fullmatch(name) is not None,
)
_TOKEN: Final = Notation("a text that is not empty; or leave it out", str, bool)
_IN_CLEAR: Final = (
    "pictures and the token go in clear to whoever can read the traffic of %s: use --web-cert FILE and "
    "--web-key FILE, or a proxy with TLS (docs/security.md)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAccess:
    """Who may use the gateway. `repr` shows no secret.

    Attributes:
        token: None for everybody on this machine.
        cert, key: files of the server's certificate and its key; None for HTTP without TLS.
        names: of this host, beside those that it has without asking.
    """

    token: str | None = field(default=None, repr=False)
    cert: str | None = None
    key: str | None = None
    names: tuple[str, ...] = ()

    def check_listen(self, option_name: str, host: str, port: int) -> None:
        """Check the address to listen at; warn once if secrets would go in clear.

        Args:
            option_name: the option with the address, for the error.

        Raises:
            ConfigError: it listens beyond this machine, and anybody could watch.
        """
        beyond = beyond_loopback(host, port)
        if beyond is None:
            return
        if self.token is None:
            raise ConfigError(
                option_name,
                f"{f'[{host}]' if ':' in host else host}:{port}",
                f"beyond this machine it needs a token of {SHORTEST_TOKEN} characters or more: "
                "--web-token-file FILE or FANLIGHT_WEB_TOKEN; or listen at 127.0.0.1",
            )
        if self.cert is None:
            warn_unencrypted(beyond, _IN_CLEAR)


@dataclass(frozen=True, kw_only=True)
class WebSettings(OptionGroup):
    """The options for access. A file takes precedence over the variable with the token itself."""

    title: ClassVar[str] = "web server"

    web_token_file: str | None = option(
        None,
        FILE,
        f"a file with the token that browsers and players need, {SHORTEST_TOKEN} characters or more; "
        "or else FANLIGHT_WEB_TOKEN",
        "FILE",
        shown="none",
    )
    web_cert: str | None = option(
        None, FILE, "serve HTTPS: the certificate (PEM), with those of its issuers", "FILE", shown="none"
    )
    web_key: str | None = option(
        None, FILE, "the key of --web-cert, if it is in another file", "FILE", shown="none"
    )
    web_hosts: tuple[str, ...] = option(
        (),
        _NAME,
        "a further name under which browsers reach it, such as that of a proxy; may be given several "
        "times, in the variable separated by commas",
        "NAME",
        name="web-host",
        shown="this host's name",
        repeated=True,
    )
    web_token: str | None = option(None, _TOKEN, "", shown="none", secret=True)

    def read_access(self) -> WebAccess:
        """Read the files.

        Raises:
            ConfigError: the token's file cannot be used, the token is too short, a key has no certificate.
        """
        token = self.web_token
        if self.web_token_file is not None:
            token = one_line("--web-token-file", self.web_token_file)
        if token is not None and len(token) < SHORTEST_TOKEN:
            name = "FANLIGHT_WEB_TOKEN" if self.web_token_file is None else "--web-token-file"
            length = f"with {len(token)} characters"
            raise ConfigError(name, length, f"allowed are {SHORTEST_TOKEN} and more")
        if self.web_key is not None:
            if self.web_cert is None:
                raise ConfigError("--web-key", self.web_key, "it needs its certificate: --web-cert FILE")
            warn_if_readable_by_others("--web-key", Path(self.web_key))
        return WebAccess(token=token, cert=self.web_cert, key=self.web_key, names=self.web_hosts)
