"""The command line of `scripts/test`: everything that a contribution must pass."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Callable
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
# Suites wait most of their time, for brokers and for frames: four of them fill two processors.
_AT_ONCE = 4
# The scripts without .py are Python too; ruff takes such files only by name.
_LINTED = (".", "scripts/broker", "scripts/demo", "scripts/doctor", "scripts/certs", "scripts/test")
# The unit tests in two halves, one for each processor where nothing else is run.
_UNIT = {
    "unit, common": ("tests/unit/common",),
    "unit, the rest": ("tests/unit", "--ignore=tests/unit/common"),
}
_BENCH = "tests/e2e/test_bench.py"
# Faults of networks and nodes have networks and brokers of their own; the others share one.
_NETWORK = tuple(
    f"tests/fault/test_{name}.py"
    for name in ("cluster", "several_hosts", "netns", "network_faults", "source_faults")
)
# About what a program or a hub does with its frames, whatever the version of the broker.
_ONCE_NAMES = (
    "asyncio",
    "doctor",
    "encoded_frames",
    "hub",
    "metrics",
    "ordered",
    "other_users",
    "pairs",
    "programs_async",
    "programs_fork",
    "programs_frames",
    "programs_results",
    "programs_threads",
    "results_shown",
    "several_streams",
    "video_capture",
)
_ONCE = tuple(f"--ignore=tests/integration/test_{name}.py" for name in _ONCE_NAMES)
# A suite of its own, with those in a browser.
_WALL = tuple(str(file) for file in sorted((CHECKOUT / "tests" / "integration").glob("test_wall*.py")))
_NOT_WALL = tuple(f"--ignore={file}" for file in _WALL)
_SOAK = ("scripts/soak.py", "--minutes", "3", "--seed", "6", "--fps", "20")
_NOT_DOCKER = ("-m", "not docker")
_BROKERLESS = ("-m", "brokerless", *_NOT_WALL)
_BROKER = ("-m", "not docker and not brokerless")
_Job = tuple[str, Callable[[], object]]
_KEPT_VARIABLES = ("FANLIGHT_TEST_", "FANLIGHT_RABBITMQ")


def main(argv: list[str] | None = None) -> int:
    """Run `scripts/test`; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="test", description=_DESCRIPTION, epilog=_EPILOG, allow_abbrev=False
    )
    parser.add_argument("--quick", action="store_true", help="only ruff, mypy and the unit tests")
    parser.add_argument("--lint", action="store_true", help="only ruff and mypy")
    options, pytest_arguments = parser.parse_known_args(argv)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    checks = Checks(pytest_arguments)
    try:
        checks.run(only_lint=options.lint, quick=options.quick)
    except KeyboardInterrupt:
        show("interrupted; what was started is stopped again")
        return 1
    except (FanlightError, OSError) as error:
        show(str(error))
        return 1
    print(checks.steps.summary(), flush=True)
    return 1 if checks.steps.failed else 0


def show(text: str) -> None:
    print(f"test: {text}", flush=True)


class Checks:
    """One run of `scripts/test`."""

    def __init__(self, pytest_arguments: list[str]) -> None:
        # A FANLIGHT_URL or FANLIGHT_CODEC of the caller is not what the tests are about.
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("FANLIGHT_") or name.startswith(_KEPT_VARIABLES)
        }
        # Several suites run at a time: what takes a second alone may take three.
        environment.setdefault("FANLIGHT_TEST_TIMEOUT_SCALE", "3")
        self.steps = Steps(CHECKOUT, environment)
        self._arguments = pytest_arguments
        # `tests/unit/x.py::test_y` in place of the suites; anything else narrows each of them.
        self._chosen = any(Path(CHECKOUT, part.partition("::")[0]).exists() for part in pytest_arguments)
        self._some_ran = False

    def run(self, *, only_lint: bool, quick: bool) -> None:
        with self.steps.step("virtual environment"):
            ensure_venv(show)
        if not (self.steps.failed or only_lint or quick):
            with self.steps.step("tools"):
                ensure_tools(show)
        if self.steps.failed:
            return
        lint: list[_Job] = [("ruff", self._ruff), ("mypy", self._mypy)]
        units = [self._suite(name, *paths) for name, paths in _UNIT.items()]
        if only_lint:
            self._side_by_side(lint)
        elif self._chosen:
            self._side_by_side(lint)
            self._with_node(lambda url: self._pytest("tests", *_NOT_DOCKER, url=url, capture=False))
        elif quick:
            self._side_by_side([*units, *lint])
        else:
            self._with_node(lambda url: self._side_by_side(self._all_suites([*lint, *units], url)))
        if not (self._some_ran or only_lint):
            self.steps.fail("tests", "no test was run")

    def _all_suites(self, busy: list[_Job], url: str | None) -> list[_Job]:
        """All there is, the longest first.

        Args:
            busy: what keeps a processor busy all the time: one after the other.
            url: a broker's, if there is one.
        """
        others = [f"--ignore={file}" for file in _NETWORK]
        return [
            self._suite("integration", "tests/integration", *_BROKER, *_NOT_WALL, url=url),
            self._suite("integration without a broker", "tests/integration", *_BROKERLESS, url=url),
            ("docker compose, and integration on RabbitMQ 4", self._docker),
            (", ".join(name for name, _ in busy), lambda: [job() for _, job in busy]),
            self._suite("faults of brokers, clocks, disks", "tests/fault", *_NOT_DOCKER, *others, url=url),
            self._suite("e2e", "tests/e2e", *_NOT_DOCKER, f"--ignore={_BENCH}", url=url),
            self._suite("wall", "tests/browser", *_WALL, url=url),
            # Arguments for pytest narrow what is run.
            *([] if self._arguments else [("soak of 3 minutes", self._soak)]),
            self._suite("faults of networks, nodes, sources", *_NETWORK, url=url),
            self._suite("benchmarks, examples", _BENCH, "tests/examples", url=url),
        ]

    def _side_by_side(self, jobs: list[_Job]) -> None:
        show(f"{_AT_ONCE} at a time: {'; '.join(name for name, _ in jobs)}")
        self.steps.side_by_side([job for _, job in jobs], _AT_ONCE)

    def _with_node(self, run: Callable[[str | None], None]) -> None:
        """Call it with the URL of a private node, or None where RabbitMQ is not installed.

        Then the tests that need a broker skip, each with its reason; under CI=true that fails.
        """
        if scripts_folder() is None:
            run(None)
            return
        node = PrivateNode()
        with self.steps.step("private RabbitMQ node"):
            node.start()
        if node.pid is None:
            return
        try:
            run(node.url)
        finally:
            node.stop()

    def _ruff(self) -> None:
        ruff = VENV / "bin" / "ruff"
        self.steps.run("ruff check", ruff, "check", "--quiet", *_LINTED)
        self.steps.run("ruff format", ruff, "format", "--check", "--quiet", *_LINTED)

    def _mypy(self) -> None:
        self.steps.run("mypy --strict", VENV / "bin" / "mypy")

    def _docker(self) -> None:
        """What starts compose itself and wants the usual port for it; then RabbitMQ 4 at that port."""
        name = "RabbitMQ 4 from docker compose"
        problem = broker_docker.missing()
        if problem is not None:
            if os.environ.get("CI") == "true":
                self.steps.fail(name, f"{problem}: with CI=true this is a failure")
            else:
                show(f"{problem}: RabbitMQ 4 part not run")
            return
        self._pytest("docker compose up, by hand", "tests", "-m", "docker")
        instance = Instance(f"test-{os.getpid()}")
        url = ""
        try:
            with self.steps.step(name):
                url = broker.up(instance, show, only=broker_docker.NAME).url
            if url:
                self._pytest(
                    "integration on RabbitMQ 4", "tests/integration", *_BROKER, *_ONCE, *_NOT_WALL, url=url
                )
        finally:
            broker.down(instance)

    def _soak(self) -> None:
        self.steps.run("soak of 3 minutes", PYTHON, *_SOAK)

    def _suite(self, name: str, *arguments: str, url: str | None = None) -> _Job:
        return name, lambda: self._pytest(name, *arguments, url=url)

    def _pytest(self, name: str, *arguments: str, url: str | None = None, capture: bool = True) -> None:
        # A narrowed run may leave a suite without tests; not every suite, though.
        passing = (0, _NO_TESTS) if self._arguments else (0,)
        variables = {"FANLIGHT_TEST_URL": url} if url else {}
        command: tuple[str | Path, ...] = (PYTHON, "-m", "pytest", "-q", *arguments, *self._arguments)
        code = self.steps.run(name, *command, passing=passing, variables=variables, capture=capture)
        self._some_ran = self._some_ran or code != _NO_TESTS
