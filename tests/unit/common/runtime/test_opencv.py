"""What is said of an OpenCV that cannot be used, by the errors that its packages really raise."""

from __future__ import annotations

import pytest

from fanlight.common.runtime.opencv import opencv_problem

NOT_INSTALLED = ModuleNotFoundError("No module named 'cv2'", name="cv2")
ERRORS = [
    (NOT_INSTALLED, "OpenCV is not installed: pip install 'fanlight[window]'"),
    # Debian's slim images, in the order in which they are met.
    *(
        (
            kind(f"{library}: cannot open shared object file: No such file or directory"),
            f"{library} is missing",
        )
        for kind, library in (
            (ImportError, "libxcb.so.1"),
            (ImportError, "libGL.so.1"),
            (ImportError, "libgthread-2.0.so.0"),
            (OSError, "libSM.so.6"),
        )
    ),
    (
        RuntimeError(
            "OpenCV(5.0.0) /io/opencv/modules/highgui/src/window.cpp:1215: error: (-2:Unspecified error) "
            "The function is not implemented. Rebuild the library with Windows, GTK+ 2.x or Cocoa support. "
            "If you are on Ubuntu or Debian, install libgtk2.0-dev and pkg-config, then re-run cmake or "
            "configure script in function 'showImageImpl'\n"
        ),
        "this OpenCV is built without windows: pip uninstall opencv-python-headless",
    ),
    (
        ImportError("numpy.core.multiarray failed to import"),
        "OpenCV fails (numpy.core.multiarray failed to import)",
    ),
    (
        ModuleNotFoundError("No module named 'numpy'", name="numpy"),
        "OpenCV fails (No module named 'numpy')",
    ),
]


@pytest.mark.parametrize(("error", "words"), ERRORS)
def test_one_line_says_what_is_wrong(error: Exception, words: str) -> None:
    said = opencv_problem(error)
    assert said.startswith(words)
    assert "\n" not in said


def test_a_missing_library_names_all_packages_to_install() -> None:
    said = opencv_problem(ImportError("libxcb.so.1: cannot open shared object file: No such file"))
    assert "apt-get install libxcb1 libgl1 libglib2.0-0 libsm6" in said
