"""`window`: an OpenCV window with a small label. `q`, Esc or closing it ends the consumer.

What detectors found is drawn on the frame in which they found it; `r` switches that off and on.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from fanlight.common.clock import monotonic_ns
from fanlight.common.model.errors import SinkError
from fanlight.common.model.pixels import Pixels, three_channels
from fanlight.common.model.units import rate_text
from fanlight.common.runtime.opencv import opencv_problem
from fanlight.common.runtime.x_libraries import unify_x_libraries
from fanlight.consumer.sinks.base import Sink, SinkContext
from fanlight.consumer.stats import ConsumerStats

# Qt logs about fonts and sessions, which users cannot change.
os.environ.setdefault("QT_LOGGING_RULES", "*.debug=false;*.info=false;*.warning=false")
_INSTEAD: Final = "use --sink status"
try:
    import cv2

    from fanlight.consumer.drawing import draw_results, draw_text
except ImportError as error:
    raise SinkError(f"window cannot be opened: {opencv_problem(error)}, or {_INSTEAD}") from None

if TYPE_CHECKING:
    from fanlight.consumer.frame import Frame

_QUIT_KEYS: Final = (ord("q"), ord("Q"), 27)
_RESULTS_KEYS: Final = (ord("r"), ord("R"))
_MAX_SIZE: Final = (1280, 720)
# A label needs this much; smaller pictures are enlarged.
_MIN_WIDTH: Final = 480
_LABEL_INTERVAL_NS: Final = 500_000_000
_STALLED_NS: Final = 1_000_000_000
# WINDOW_NORMAL: the user may resize it. GUI_NORMAL: no tool bar, which would also scale the picture.
_FLAGS: Final = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL

# As the label is seen in the window that the picture opens.
MARGIN_PX: Final = 10
_PADDING_PX: Final = 9
_CAPITAL_PX: Final = 14
_STROKE_PX: Final = 1.6
_WHITE: Final = (255, 255, 255)
_AMBER: Final = (60, 190, 255)
# Brightness of the picture under the label: white text is readable on any picture.
_SHADE: Final = 0.35


class WindowSink(Sink):
    """Opens at once, with a notice until the first frame. All methods on one thread, as Qt requires.

    Raises:
        SinkError: no window can be opened here.
    """

    def __init__(self, context: SinkContext) -> None:
        require_windows()
        require_display()
        self._context = context
        self._title = f"Fanlight {context.name} - {context.stream}"
        self._label = Label()
        self._text = ""
        self._text_ns: int | None = None
        self._presented_ns: int | None = None
        self._stalled_s = 0
        self._unsized_frames = 2
        self._open = True
        self._draws_results = True
        self._shape = (360, 640)
        self._canvas: Pixels = np.full((360, 640, 3), 24, np.uint8)
        self._label.draw(self._canvas, f"{context.name}   waiting for the first frame")
        cv2.namedWindow(self._title, _FLAGS)
        cv2.resizeWindow(self._title, 640, 360)
        cv2.imshow(self._title, self._canvas)
        self._pump()

    def present(self, frame: Frame) -> None:
        # imshow would reopen a window that the user has closed.
        if not self._open:
            return
        now_ns = monotonic_ns()
        height, width = frame.image.shape[:2]
        times = enlargement(width, height)
        if self._shape != (height, width):
            self._shape = (height, width)
            self._canvas = np.empty((height * times, width * times, 3), np.uint8)
        if self._unsized_frames:
            # Repeated for the second frame: Qt loses a size that is set before the window is mapped.
            self._unsized_frames -= 1
            cv2.resizeWindow(self._title, *fitted(width * times, height * times))
        blocks = self._canvas.reshape(height, times, width, times, 3)
        np.copyto(blocks, three_channels(frame.image)[:, None, :, None])
        if not frame.valid:
            # The process was suspended during the copy, for longer than the grace time.
            self._canvas.fill(24)
            return
        if frame.results and self._draws_results:
            draw_results(self._canvas, frame.results)
        if self._text_ns is None or now_ns - self._text_ns >= _LABEL_INTERVAL_NS:
            self._text_ns = now_ns
            self._text = label_text(self._context.name, self._context.stats())
        self._label.draw(self._canvas, self._text)
        self._presented_ns = now_ns
        self._stalled_s = 0
        cv2.imshow(self._title, self._canvas)
        self._pump()

    def tick(self) -> bool:
        if self._open and self._presented_ns is not None:
            self._show_stall((monotonic_ns() - self._presented_ns) // _STALLED_NS)
        if self._open:
            self._pump()
        return self._open

    def close(self) -> None:
        self._open = False
        cv2.destroyAllWindows()

    def _show_stall(self, stalled_s: int) -> None:
        """Mark an old picture, since a frozen one is not distinguishable from a live one."""
        if stalled_s <= self._stalled_s:
            return
        if not self._stalled_s:
            np.multiply(self._canvas, 0.5, out=self._canvas, casting="unsafe")
        self._stalled_s = stalled_s
        shown = self._canvas.copy()
        self._label.draw(shown, f"{self._context.name}   no new frame for {stalled_s} s", warning=True)
        cv2.imshow(self._title, shown)

    def _pump(self) -> None:
        """Run Qt's event loop once: drawing and keyboard. Sleeps about 2 ms, the minimum of OpenCV."""
        key = cv2.pollKey()
        try:
            visible = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) > 0
        except cv2.error:
            # OpenCV shuts Qt down with the last window; the call then fails.
            visible = False
        if not visible or (key != -1 and key & 0xFF in _QUIT_KEYS):
            self._open = False
        elif key != -1 and key & 0xFF in _RESULTS_KEYS:
            self._draws_results = not self._draws_results


def fitted(width: int, height: int) -> tuple[int, int]:
    """The size to open a window with: that of the picture, scaled down to fit into 1280x720."""
    scale = min(1.0, _MAX_SIZE[0] / width, _MAX_SIZE[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def enlargement(width: int, height: int) -> int:
    """How many times a picture is enlarged, by whole pixels: 1 unless it is too narrow for a label."""
    return max(1, min(-(-_MIN_WIDTH // width), _MAX_SIZE[1] // height))


def label_text(name: str, stats: ConsumerStats) -> str:
    """`c1   30.0 fps   12 ms`: the name, the rate shown and the median age."""
    age = "-" if stats.age_p50_s is None else f"{stats.age_p50_s * 1e3:.0f}"
    return f"{name}   {rate_text(stats.fps)}   {age} ms"


class Label:
    """Draws text on a shaded box."""

    def draw(self, canvas: Pixels, text: str, *, warning: bool = False) -> None:
        """Draw into the top left corner of `canvas`, (height, width, 3), cut to its size.

        A window shows a large canvas at a smaller size, for which the label is larger.
        """
        height, width = canvas.shape[:2]
        scale = width / fitted(width, height)[0]
        margin, padding, capital = (round(px * scale) for px in (MARGIN_PX, _PADDING_PX, _CAPITAL_PX))
        stroke = round(_STROKE_PX * scale)
        # A warning covers an older label, which must not be visible.
        shade, colour = (0.0, _AMBER) if warning else (_SHADE, _WHITE)
        draw_text(
            canvas, text, (margin, margin), capital, padding, stroke_px=stroke, colour=colour, shade=shade
        )


def require_windows() -> None:
    """Raise `SinkError` for an OpenCV that has none (headless)."""
    try:
        cv2.destroyAllWindows()  # of which there is none yet
    except cv2.error as error:
        raise SinkError(f"window cannot be opened: {opencv_problem(error)}, or {_INSTEAD}") from None


def require_display() -> None:
    """Load Qt's X plugin and connect to the X server, before Qt does, which calls abort() on a failure.

    `import cv2` has set the path of the plugin.

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
        raise SinkError(f"window cannot be opened: {opencv_problem(error)}, or {_INSTEAD}") from None
    # Not only connect(): the server may accept the connection and refuse the cookie.
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(display.encode(), None))
    if xcb.xcb_connection_has_error(connection):
        xcb.xcb_disconnect(connection)
        raise SinkError(f"window cannot be opened: no X server answers at DISPLAY={display}, {_INSTEAD}")
    # Left open until the process ends: an X server without other clients (Xvfb) resets itself when its
    # last one leaves, and would disconnect a client that connects at that moment, Qt included.
