from __future__ import annotations

import subprocess
import sys

import pytest

from fanlight import consumer


@pytest.mark.parametrize("name", consumer.__all__)
def test_what_the_package_offers_is_there(name: str) -> None:
    assert getattr(consumer, name).__name__ == name


def test_what_it_does_not_offer_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'fanlight\.consumer' has no attribute 'Nobody'"):
        getattr(consumer, "Nobody")  # noqa: B009 - a checker would see it


def test_importing_the_package_loads_no_codec_and_no_client() -> None:
    code = "import sys, consumer; sys.exit(bool({'av', 'cv2', 'numpy', 'pika'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
