"""A real Firefox, driven by WebDriver BiDi over its own WebSocket: Debian has no geckodriver."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import websocket

from scripts.lib.ports import free_ports
from tests.support.timing import scaled, wait_until

# It looks nothing up anywhere, and plays without a click.
_PREFERENCES: Final = {
    "app.update.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "media.autoplay.default": 0,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
}


class Firefox:
    """One window, with the interface of `tests.support.browser.Browser` as far as it goes."""

    def __init__(self, port: int) -> None:
        self._socket: websocket.WebSocket | None = None
        self._numbers = itertools.count(1)
        wait_until(lambda: self._connect(port), 30, "Firefox answers")
        self._call("session.new", capabilities={})
        self._context = self._call("browsingContext.getTree")["contexts"][0]["context"]

    def open(self, url: str) -> None:
        self._call("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def run(self, script: str, *arguments: object) -> Any:
        """What `script` returns; a promise is awaited."""
        body = f"async () => JSON.stringify(await (function () {{ {script} }})(...{json.dumps(arguments)}))"
        answer = self._call(
            "script.callFunction",
            functionDeclaration=body,
            target={"context": self._context},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        value = answer["result"].get("value")
        return None if value is None else json.loads(value)

    def wait(self, script: str, timeout_s: float = 10) -> None:
        """Until this expression holds."""
        holds = f"try {{ return Boolean({script}) }} catch (error) {{ return false }}"
        wait_until(lambda: self.run(holds), timeout_s, script)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _connect(self, port: int) -> bool:
        with contextlib.suppress(OSError, websocket.WebSocketException):
            self._socket = websocket.create_connection(
                f"ws://127.0.0.1:{port}/session", timeout=scaled(30), suppress_origin=True
            )
        return self._socket is not None

    def _call(self, method: str, **parameters: object) -> dict[str, Any]:
        assert self._socket is not None
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == number:
                assert answer["type"] == "success", answer
                return dict(answer["result"])


@contextlib.contextmanager
def firefox() -> Iterator[Firefox]:
    """A fresh profile. Skips where there is no Firefox."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("firefox-esr is not installed")
    with tempfile.TemporaryDirectory(prefix="fanlight-firefox-", ignore_cleanup_errors=True) as profile:
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in _PREFERENCES.items()
        ]
        (Path(profile) / "user.js").write_text("\n".join(lines))
        port = free_ports(1)[0]
        command = [program, "--headless", "--no-remote", "--profile", profile]
        process = subprocess.Popen(
            [*command, "--remote-debugging-port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"HOME": profile, "PATH": "/usr/bin:/bin", "MOZ_HEADLESS": "1"},
        )
        try:
            browser = Firefox(port)
            yield browser
            browser.close()
        finally:
            process.terminate()
            process.wait(scaled(20))
