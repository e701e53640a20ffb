"""The command line of `scripts/test`: everything that a contribution must pass."""

from __future__ import annotations

import argparse
import os
import signal
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from fanlight.common.model.errors import FanlightError
from scripts.lib import broker, broker_docker
from scripts.lib.bootstrap import PYTHON, VENV, ensure_venv
from scripts.lib.instance import CHECKOUT, Instance
from scripts.lib.steps import Steps
from scripts.lib.tools import ensure_tools
from scripts.private_node import PrivateNode, scripts_folder

_DESCRIPTION = """\
Make everything ready (.venv, Debian packages where root may install them, an npm package), then run
ruff, mypy --strict and all tests: against a private RabbitMQ node, and, where a Docker engine answers,
the integration tests again against RabbitMQ 4 from docker compose. What it starts, it stops."""
_EPILOG = """\
Further arguments go to pytest: `scripts/test -k freshness`, `scripts/test tests/fault -x`. With CI=true a
skipped test and a missing Docker engine are failures. Exit codes: 0 passed, 1 failed."""
_NO_TESTS = 5  # pytest's exit code for "none collected"
_SUITES = ("integration", "fault", "e2e")
# Takes most of a processor while it measures.
_BENCH = "tests/e2e/test_bench.py"
# Faults of lines and nodes have networks and brokers of their own; the others share one.
_LINES = tuple(
    f"tests/fault/test_{name}.py"
    for name in ("cluster", "several_hosts", "netns", "network_faults", "source_faults")
)
# Mostly about brokers of their own, of the installed version.
_ONCE = tuple(f"--ignore=tests/integration/test_{name}.py" for name in ("doctor", "metrics"))
_SOAK = ("scripts/soak.py", "--minutes", "3", "--seed", "6", "--fps", "20")
_NOT_DOCKER = ("-m", "not docker")
_BROKER = ("-m", "not docker and not brokerless")
_KEPT_VARIABLES = ("FANLIGHT_TEST_", "FANLIGHT_RABBITMQ")


def main(argv: list[str] | None = None) -> int:
    """Run `scripts/test`; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="test", description=_DESCRIPTION, epilog=_EPILOG, allow_abbrev=False
    )
    parser.add_argument("--quick", action="store_true", help="only ruff, mypy and the unit tests")
    options, pytest_arguments = parser.parse_known_args(argv)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    checks = Checks(pytest_arguments)
    try:
        checks.run(quick=options.quick)
    except KeyboardInterrupt:
        say("interrupted; what was started is stopped again")
        return 1
    except (FanlightError, OSError) as error:
        say(str(error))
        return 1
    print(checks.steps.summary(), flush=True)
    return 1 if checks.steps.failed else 0


def say(text: str) -> None:
    print(f"test: {text}", flush=True)


class Checks:
    """One run of `scripts/test`."""

    def __init__(self, pytest_arguments: list[str]) -> None:
        self.steps = Steps()
        self._arguments = pytest_arguments
        # `tests/unit/x.py::test_y` in place of the suites; anything else narrows each of them.
        self._chosen = any(Path(CHECKOUT, part.partition("::")[0]).exists() for part in pytest_arguments)
        self._some_ran = False
        # A FANLIGHT_URL or FANLIGHT_CODEC of the caller is not what the tests are about.
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("FANLIGHT_") or name.startswith(_KEPT_VARIABLES)
        }
        # Several suites run at a time: what takes a second alone may take two.
        self._environment.setdefault("FANLIGHT_TEST_TIMEOUT_SCALE", "2")

    def run(self, *, quick: bool) -> None:
        with self.steps.step("virtual environment"):
            ensure_venv(say)
        if self.steps.failed:
            return
        if not quick:
            with self.steps.step("tools"):
                ensure_tools(say)
        self._lint()
        if self._chosen:
            self._with_private_node([("tests", [])])
        elif quick:
            self._pytest("unit", "tests/unit")
        else:
            self._all_suites()
        if not self._some_ran:
            self.steps.fail("tests", "no test was run")

    def _lint(self) -> None:
        # The scripts without .py are Python too; ruff takes such files only by name.
        scripts = [f"scripts/{name}" for name in ("broker", "demo", "test")]
        self._tool("ruff check", "ruff", "check", "--quiet", ".", *scripts)
        self._tool("ruff format", "ruff", "format", "--check", "--quiet", ".", *scripts)
        self._tool("mypy --strict", "mypy")

    def _all_suites(self) -> None:
        """Several at a time: they wait most of the time, for brokers and for frames."""
        if scripts_folder() is None:
            self._pytest("unit", "tests/unit")
            self._with_private_node([(name, [f"tests/{name}"]) for name in _SUITES])
            with self._by_hand():
                pass
            self._with_docker()
            return
        node = self._private_node()
        if node.pid is None:
            return
        try:
            with (
                self._beside("integration without a broker", "tests/integration", "-m", "brokerless"),
                self._beside("e2e", "tests/e2e", *_NOT_DOCKER, f"--ignore={_BENCH}", url=node.url),
            ):
                with self._by_hand():
                    self._pytest("unit", "tests/unit")
                self._pytest("integration", "tests/integration", *_BROKER, url=node.url)
            with self._soaking(), self._beside("faults of lines and nodes", *_LINES):
                others = [f"--ignore={file}" for file in _LINES]
                self._pytest("fault", "tests/fault", *_NOT_DOCKER, *others, url=node.url)
            with self._beside("benchmarks", _BENCH):
                self._with_docker()
        finally:
            node.stop()

    def _private_node(self) -> PrivateNode:
        node = PrivateNode()
        with self.steps.step("private RabbitMQ node"):
            node.start()
        return node

    def _with_private_node(self, suites: list[tuple[str, list[str]]]) -> None:
        if scripts_folder() is None:
            # The tests that need a broker skip, each with its reason; under CI=true that fails.
            for name, paths in suites:
                self._pytest(name, *paths, *_NOT_DOCKER)
            return
        node = self._private_node()
        if node.pid is None:
            return
        try:
            for name, paths in suites:
                self._pytest(name, *paths, *_NOT_DOCKER, url=node.url)
        finally:
            node.stop()

    def _beside(self, name: str, *arguments: str, url: str | None = None) -> AbstractContextManager[None]:
        command = [str(PYTHON), "-m", "pytest", *arguments, *self._arguments]
        good = (0, _NO_TESTS) if self._arguments else (0,)
        environment = self._environment | ({"FANLIGHT_TEST_URL": url} if url else {})
        return self.steps.beside(name, command, cwd=CHECKOUT, environment=environment, good=good)

    def _soaking(self) -> AbstractContextManager[None]:
        """Not where arguments for pytest narrow what is run."""
        if self._arguments:
            return nullcontext()
        command = [str(PYTHON), *_SOAK]
        return self.steps.beside("soak of 3 minutes", command, cwd=CHECKOUT, environment=self._environment)

    def _by_hand(self) -> AbstractContextManager[None]:
        """What starts compose itself, and wants the usual port for it."""
        if broker_docker.missing() is not None:
            return nullcontext()
        return self._beside("docker compose up, by hand", "tests", "-m", "docker")

    def _with_docker(self) -> None:
        problem = broker_docker.missing()
        name = "RabbitMQ 4 from docker compose"
        if problem is not None:
            if os.environ.get("CI") == "true":
                self.steps.fail(name, f"{problem}: with CI=true this is a failure")
            else:
                say(f"{problem}: RabbitMQ 4 part not run")
            return
        instance = Instance(f"test-{os.getpid()}")
        url = ""
        try:
            with self.steps.step(name):
                url = broker.up(instance, say, only=broker_docker.NAME).url
            if url:
                self._pytest("integration on RabbitMQ 4", "tests/integration", *_BROKER, *_ONCE, url=url)
        finally:
            broker.down(instance)

    def _pytest(self, name: str, *arguments: str, url: str | None = None) -> None:
        environment = self._environment | ({"FANLIGHT_TEST_URL": url} if url else {})
        # A narrowed run may leave a suite without tests; not every suite, though.
        good = (0, _NO_TESTS) if self._arguments else (0,)
        command = [str(PYTHON), "-m", "pytest", *arguments, *self._arguments]
        code = self.steps.run(name, command, cwd=CHECKOUT, environment=environment, good=good)
        self._some_ran = self._some_ran or code != _NO_TESTS

    def _tool(self, name: str, *command: str) -> None:
        program = VENV / "bin" / command[0]
        self.steps.run(name, [program, *command[1:]], cwd=CHECKOUT, environment=self._environment)
