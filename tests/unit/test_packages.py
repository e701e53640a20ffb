"""What the packages offer, what importing them costs, and the old names in a checkout."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.timing import scaled

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "fanlight": ["Consumer", "Frame", "Producer"],
    "fanlight.consumer": ["Consumer", "Frame"],
    "fanlight.producer": ["Producer"],
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter in the checkout that shows deprecations."""
    command = [sys.executable, "-W", "always::DeprecationWarning", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=scaled(60)
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_offers_its_classes_and_nothing_else(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__all__ == dir(module) == PACKAGES[package]
    assert [getattr(module, name).__name__ for name in PACKAGES[package]] == PACKAGES[package]
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Nobody'"):
        getattr(module, "Nobody")  # noqa: B009 - a checker would see it


@pytest.mark.parametrize("package", [*PACKAGES, "consumer", "producer"])
def test_importing_a_package_loads_no_codec_and_no_client(package: str) -> None:
    code = f"import sys, {package}; sys.exit(bool({{'av', 'cv2', 'numpy', 'pika'}} & set(sys.modules)))"
    assert run("-c", code).returncode == 0


@pytest.mark.parametrize("name", ["consumer.Consumer", "consumer.Frame", "producer.Producer"])
def test_an_old_name_in_a_checkout_is_the_class_and_warns(name: str) -> None:
    package, _, attribute = name.partition(".")
    done = run(
        "-c", f"import fanlight\nfrom {package} import {attribute} as x\nassert x is fanlight.{attribute}"
    )
    assert done.returncode == 0, done.stderr
    assert f"DeprecationWarning: write: from fanlight import {attribute}" in done.stderr


@pytest.mark.parametrize("module", ["consumer", "producer", "fanlight.consumer", "fanlight.producer"])
def test_a_command_does_not_warn(module: str) -> None:
    done = run("-m", module, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {sys.executable} -m {module}")
