"""An X server without a screen, and hands to use it with."""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from fanlight.common.codec.picture import BGR
from tests.support.timing import scaled

SIZE = (1600, 1000)
_TOOLS = ("Xvfb", "xdotool", "import")
_CLIENT_MESSAGE = 33


@dataclass(frozen=True, slots=True)
class Display:
    """A running X server. No window manager: windows have no frame and stand at the top left.

    Attributes:
        name: what `DISPLAY` is to be set to.
    """

    name: str

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "DISPLAY": self.name}

    def windows(self, title: str) -> list[int]:
        """The ids of the windows on the screen with exactly this title."""
        found = self._run("xdotool", "search", "--onlyvisible", "--name", f"^{title}$", check=False)
        return [int(line) for line in found.split()]

    def press(self, window: int, key: str) -> None:
        """Focus a window and press a key (`q`, `Escape`)."""
        self._run("xdotool", "windowfocus", "--sync", str(window), "key", key)

    def resize(self, window: int, width: int, height: int) -> None:
        self._run("xdotool", "windowsize", "--sync", str(window), str(width), str(height))

    def expose(self, window: int) -> None:
        """Have all of a window drawn again, as one does who minimises and restores it.

        Without a window manager Qt loses the first MapNotify and Expose of some windows, also with OpenCV
        alone; on a busy machine every tenth stays black.
        """
        for action in ("windowunmap", "windowmap"):
            self._run("xdotool", action, "--sync", str(window))

    def screenshot(self) -> BGR:
        """The whole screen: uint8, (height, width, 3)."""
        rgb = self._run("import", "-window", "root", "-depth", "8", "rgb:-")
        return np.frombuffer(rgb, np.uint8).reshape(SIZE[1], SIZE[0], 3)[:, :, ::-1]

    def close_window(self, window: int) -> None:
        """What a window manager does when its close button is pressed: ask, with WM_DELETE_WINDOW.

        `xdotool windowclose` destroys the window without asking Qt, which no user can do.
        """
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        x11.XInternAtom.restype = ctypes.c_ulong
        connection = ctypes.c_void_p(x11.XOpenDisplay(self.name.encode()))
        assert connection, f"cannot connect to {self.name}"
        protocols = x11.XInternAtom(connection, b"WM_PROTOCOLS", 0)
        delete = x11.XInternAtom(connection, b"WM_DELETE_WINDOW", 0)
        event = _ClientMessage(_CLIENT_MESSAGE, 0, 1, None, window, protocols, 32, (delete, 0))
        assert x11.XSendEvent(connection, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(event))
        x11.XCloseDisplay(connection)

    def _run(self, *command: str, check: bool = True) -> bytes:
        return subprocess.run(
            command, env=self.environment, stdout=subprocess.PIPE, timeout=scaled(20), check=check
        ).stdout


class _ClientMessage(ctypes.Structure):
    """XClientMessageEvent, padded to the size of the union XEvent."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("padding", ctypes.c_long * 24),
    ]


@contextmanager
def xvfb() -> Iterator[Display]:
    """Run an X server on a free display, and end it.

    Skips the test where the tools are missing.
    """
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    reader, writer = os.pipe()
    screen = f"{SIZE[0]}x{SIZE[1]}x24"
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", screen, "-nolisten", "tcp", "-noreset"]
    with subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.PIPE) as server:
        os.close(writer)
        try:
            number = _first_line(reader, server)
            yield Display(f":{number}")
        finally:
            os.close(reader)
            server.terminate()
            server.communicate(timeout=scaled(10))


def _first_line(reader: int, server: subprocess.Popen[bytes]) -> str:
    """The number of the display, which the server writes once it takes connections."""
    text = b""
    while not text.endswith(b"\n"):
        ready, _, _ = select.select([reader], [], [], scaled(20))
        chunk = os.read(reader, 16) if ready else b""
        if not chunk:
            server.terminate()
            errors = server.communicate(timeout=scaled(10))[1].decode(errors="replace")
            raise AssertionError(f"Xvfb did not start: {errors}")
        text += chunk
    return text.decode().strip()


@pytest.fixture
def display() -> Iterator[Display]:
    with xvfb() as running:
        yield running
