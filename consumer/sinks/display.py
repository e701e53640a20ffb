"""Whether a window can be opened: asked before Qt is, which would end the process with abort()."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from fanlight.common.model.errors import SinkError
from fanlight.common.runtime.x_libraries import unify_x_libraries

_INSTEAD = "use --sink status"


def require_display() -> None:
    """Try what Qt is going to do: load its X plugin, and log in to the X server of `DISPLAY`.

    Call it after `import cv2`, which says where the plugin is.

    Raises:
        SinkError: a window cannot be opened here.
    """
    display = os.environ.get("DISPLAY")
    if not display:
        raise SinkError(f"window cannot be opened: DISPLAY is not set, {_INSTEAD}")
    try:
        unify_x_libraries()
        plugins = os.environ.get("QT_QPA_PLATFORM_PLUGIN_PATH")
        if plugins:
            ctypes.CDLL(str(Path(plugins, "platforms", "libqxcb.so")))
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError as error:
        raise SinkError(f"window cannot be opened: a library is missing ({error}), {_INSTEAD}") from None
    # Not a bare connect(): the server may answer and still refuse the cookie.
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(display.encode(), None))
    if xcb.xcb_connection_has_error(connection):
        xcb.xcb_disconnect(connection)
        raise SinkError(f"window cannot be opened: no X server answers at DISPLAY={display}, {_INSTEAD}")
    # Left open until the process ends: an X server without other clients (Xvfb) resets itself when its
    # last one leaves, and would throw out whoever connects in that moment, Qt included.
