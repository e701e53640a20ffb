"""What the packages offer, what importing them costs, and the old names in a checkout."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fanlight
from fanlight.common.model import errors
from tests.support.timing import scaled

ROOT = Path(__file__).parents[2]
ERRORS = [
    name for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.FanlightError)
]  # fmt: skip


def for_type_checkers() -> dict[str, str]:
    """What `fanlight` imports for them, by name: the module."""
    nodes = ast.walk(ast.parse((ROOT / "fanlight" / "__init__.py").read_text()))
    ours = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module != "__future__"]
    return {alias.name: node.module or "" for node in ours for alias in node.names}


TYPED = {
    name: module for name, module in for_type_checkers().items() if name not in ("import_module", "aio")
}
PACKAGES = {
    "fanlight": fanlight.__all__,
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


def test_a_type_checker_and_a_program_see_the_same_names() -> None:
    assert sorted(TYPED) == sorted(fanlight.__all__)
    for name, module in TYPED.items():
        assert getattr(fanlight, name) is getattr(importlib.import_module(module), name)


def test_every_error_is_public() -> None:
    assert {name for name in fanlight.__all__ if TYPED[name] == errors.__name__} == set(ERRORS)


def calls(folders: tuple[str, ...]) -> Iterator[ast.Call]:
    """All calls in the sources of these folders."""
    for file in [file for folder in folders for file in (ROOT / folder).rglob("*.py")]:
        yield from (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))


def test_every_error_is_raised_somewhere_and_a_test_expects_it() -> None:
    made = {ast.unparse(call.func) for call in calls(("common", "producer", "consumer"))}
    expected = {
        name.id
        for call in calls(("tests",))
        if ast.unparse(call.func) == "pytest.raises" and call.args
        for name in ast.walk(call.args[0])
        if isinstance(name, ast.Name)
    }
    assert set(ERRORS) - made == {"FanlightError"} - made
    assert set(ERRORS) <= expected


@pytest.mark.parametrize("package", [*PACKAGES, "consumer", "producer"])
def test_importing_a_package_loads_no_codec_and_no_client(package: str) -> None:
    code = f"import sys, {package}; sys.exit(bool({{'av', 'cv2', 'numpy', 'pika'}} & set(sys.modules)))"
    assert run("-c", code).returncode == 0


def test_the_module_for_asyncio_comes_with_the_package() -> None:
    done = run("-c", "import fanlight; print(fanlight.aio.Consumer.__name__)")
    assert (done.stdout, done.stderr) == ("Consumer\n", "")


def test_an_old_name_in_a_checkout_is_the_class_and_warns() -> None:
    names = {"consumer": ["Consumer", "Frame"], "producer": ["Producer"], "common.errors": ERRORS}
    old = [(package, name) for package, several in names.items() for name in several]
    imports = [f"from {package} import {name} as x\nassert x is fanlight.{name}\n" for package, name in old]
    done = run("-c", "".join(["import fanlight\n", *imports]))
    assert done.returncode == 0, done.stderr
    for _, name in old:
        assert f"DeprecationWarning: write: from fanlight import {name}\n" in done.stderr


def test_errors_that_programs_do_not_meet_keep_their_former_names_too() -> None:
    code = "import common.errors, fanlight.common.model.errors as e"
    done = run("-c", f"{code}\nassert common.errors.WireFormatError is e.WireFormatError")
    assert done.returncode == 0, done.stderr


LOGS = """
import logging, threading
logging.basicConfig(level=logging.INFO)
from {package} import Consumer
logging.getLogger("pika").setLevel(logging.{pika})
said = threading.Event()
def seen(record):
    if "; attempt " in record.getMessage(): said.set()
    return True
logging.getLogger().handlers[0].addFilter(seen)
with Consumer("x", url="amqp://u:p@127.0.0.1:1/v"):
    assert said.wait(30)
assert len(logging.getLogger().handlers) == 1
"""


@pytest.mark.parametrize(
    ("package", "pika", "ours"),
    [
        ("fanlight", "NOTSET", "WARNING:fanlight.common."),
        ("fanlight", "ERROR", "WARNING:fanlight.common."),
        ("consumer", "NOTSET", "WARNING:common."),  # by which programs with that import select them
    ],
)
def test_a_program_reads_our_lines_once_and_those_of_pika_if_it_says_so(
    package: str, pika: str, ours: str
) -> None:
    lines = run("-c", LOGS.format(package=package, pika=pika)).stderr.splitlines()
    about = [line for line in lines if "attempt" in line and "pika" not in line]
    assert about, lines
    assert all(line.startswith(ours) for line in about), lines
    assert len(about) == len(set(about)), "each once"
    assert any(":pika" in line for line in lines) is (pika == "ERROR"), lines


def test_all_loggers_are_below_the_one_name() -> None:
    modules = "producer.cli, producer.source.camera, consumer.presenter, consumer.sinks.share"
    code = "".join(f"import fanlight.{module}\n" for module in modules.split(", "))
    found = run("-c", f"{code}import logging; print(*logging.root.manager.loggerDict)").stdout.split()
    assert {"fanlight", "fanlight.producer"} <= set(found)
    assert not [name for name in found if name.partition(".")[0] in ("common", "consumer", "producer")]


@pytest.mark.parametrize("module", ["consumer", "producer", "fanlight.consumer", "fanlight.producer"])
def test_a_command_does_not_warn(module: str) -> None:
    done = run("-m", module, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {sys.executable} -m {module}")
