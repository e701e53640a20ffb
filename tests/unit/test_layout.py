"""The house rules of CONTRIBUTING.md that a machine can check. Each check is checked below."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("common", "producer", "consumer")
MAX_LINES: Final = 400

# Source files whose test is not the mirrored one but runs them against the real thing. Both have to exist.
TESTED_ELSEWHERE: Final[dict[str, str]] = {
    "common/errors.py": "tests/unit/test_packages.py",
    "common/former_names.py": "tests/unit/test_packages.py",
    "common/forked.py": "tests/integration/test_programs_fork.py",
    "common/observe/producer_check.py": "tests/integration/test_doctor.py",
    "common/transport/__init__.py": "tests/integration/test_pipeline.py",
    "common/transport/amqp/announcer.py": "tests/fault/test_directory_faults.py",
    "common/transport/amqp/control.py": "tests/integration/test_broker_control.py",
    "common/transport/amqp/directory.py": "tests/integration/test_directory.py",
    "common/transport/amqp/fanout_queue.py": "tests/integration/test_directory.py",
    "common/transport/amqp/results.py": "tests/integration/test_results.py",
    "common/transport/amqp/interval_acks.py": "tests/integration/test_floods.py",
    "common/transport/amqp/broker_check.py": "tests/integration/test_doctor.py",
    "common/transport/amqp/binding.py": "tests/integration/test_broker_subscriber.py",
    "common/transport/amqp/io_thread.py": "tests/integration/test_broker_link.py",
    "common/transport/amqp/link.py": "tests/integration/test_broker_link.py",
    "common/transport/amqp/node_watch.py": "tests/fault/test_cluster.py",
    "common/transport/amqp/end_watch.py": "tests/integration/test_pools.py",
    "common/transport/amqp/intra_publisher.py": "tests/integration/test_pools.py",
    "common/transport/amqp/pool_binding.py": "tests/integration/test_pools.py",
    "common/transport/amqp/pool_subscriber.py": "tests/integration/test_pools.py",
    "consumer/ordered.py": "tests/integration/test_ordered.py",
    "common/transport/amqp/publisher.py": "tests/integration/test_broker_publisher.py",
    "common/transport/amqp/subscriber.py": "tests/integration/test_broker_subscriber.py",
    "common/transport/tcp/multiplex.py": "tests/unit/common/transport/tcp/test_publisher.py",
    "common/transport/tcp/acceptor.py": "tests/unit/common/transport/tcp/test_listener.py",
    "common/transport/tcp/event_loop.py": "tests/unit/common/transport/tcp/test_listener.py",
    "common/transport/tcp/connect.py": "tests/fault/test_network_faults.py",
    "common/transport/tcp/threads.py": "tests/unit/common/transport/tcp/test_publisher.py",
    "common/observe/__init__.py": "tests/integration/test_metrics.py",
    "common/observe/health.py": "tests/unit/consumer/test_metrics.py",
    "consumer/__init__.py": "tests/unit/test_packages.py",
    "consumer/wall/connection.py": "tests/unit/consumer/wall/test_acceptor.py",
    "consumer/wall/refusals.py": "tests/unit/consumer/wall/test_access.py",
    "consumer/cli.py": "tests/e2e/test_commands.py",
    "consumer/__main__.py": "tests/e2e/test_commands.py",
    "consumer/wall/__main__.py": "tests/integration/test_wall.py",
    "consumer/wall/broker_streams.py": "tests/integration/test_wall.py",
    "consumer/wall/cli.py": "tests/integration/test_wall.py",
    "consumer/wall/doctor.py": "tests/integration/test_wall.py",
    "consumer/wall/source.py": "tests/integration/test_wall.py",
    "producer/__main__.py": "tests/e2e/test_commands.py",
    "consumer/doctor.py": "tests/integration/test_doctor.py",
    "consumer/results_reception.py": "tests/integration/test_results.py",
    "consumer/presenter.py": "tests/e2e/test_commands.py",
    "consumer/reading_thread.py": "tests/integration/test_several_streams.py",
    "producer/doctor.py": "tests/integration/test_doctor.py",
    "producer/pipeline.py": "tests/integration/test_pipeline.py",
    "producer/source/__init__.py": "tests/unit/producer/source/test_make_source.py",
    "consumer/video_capture.py": "tests/integration/test_video_capture.py",
    "producer/source/pipe.py": "tests/integration/test_pipes.py",
}

# What each room may import of ours; the longest folder counts.
EVERYWHERE: Final = tuple(
    f"common.{name}" for name in ("clock", "failure", "forked", "limited_log", "users")
)
ROOMS: Final = {
    "common/": ("common.model", "common.clock", "common.former_names"),
    "common/model/": ("common.model",),
    "common/codec/": ("common.codec", "common.model"),
    "common/shm/": ("common.shm", "common.model", *EVERYWHERE),
    "common/runtime/": ("common.runtime", "common.model", *EVERYWHERE),
    "common/transport/": ("common.transport", "common.model", *EVERYWHERE),
    "common/observe/": ("common",),
    "producer/": ("common", "producer"),
    "consumer/": ("common", "consumer"),
}
# The only places that may import a third-party module. Nothing else from outside is allowed.
THIRD_PARTY: Final = {
    "aiohttp": ("consumer/wall/",),
    "av": ("common/codec/", "producer/", "consumer/sinks/", "consumer/wall/"),
    "cv2": ("producer/source/camera.py", "consumer/sinks/window.py", "consumer/drawing.py"),
    "numpy": ("common/", "producer/", "consumer/"),
    "pika": ("common/transport/amqp/",),
    "prometheus_client": ("common/observe/exposition.py",),
    "segno": ("consumer/wall/",),
    "simplejpeg": ("common/codec/",),
}
MAY_PRINT: Final = ("scripts/", "tests/")
MAY_CONFIGURE_LOGGING: Final = ("common/runtime/main.py", "scripts/", "tests/")


# Checks: each takes a path from the root and a text, and yields what is wrong with it ----------------


def forbidden_imports(path: str, source: str) -> Iterator[str]:
    allowed = ROOMS[max((room for room in ROOMS if path.startswith(room)), key=len)]
    for module in _imports(path, source):
        root, _, name = module.partition(".")
        if root in (*PACKAGES, "scripts", "tests") or (
            root == "fanlight" and not any(_leads_to(name, room) for room in allowed)
        ):
            yield f"{path} imports {module}"


def _leads_to(name: str, room: str) -> bool:
    """Whether it is in the room, or a package above it."""
    return f"{name}.".startswith(f"{room}.") or f"{room}.".startswith(f"{name}.") or not name


def misplaced_third_party(path: str, source: str) -> Iterator[str]:
    for module in _imports(path, source):
        root = module.partition(".")[0]
        if root in sys.stdlib_module_names or root == "fanlight":
            continue
        if not path.startswith(THIRD_PARTY.get(root, ())):
            yield f"{path} imports {root}"


def prints(path: str, source: str) -> Iterator[str]:
    if not path.startswith(MAY_PRINT) and _uses(source, "print"):
        yield f"{path} prints: log, or write to a stream that was handed in"


def sleeps(path: str, source: str) -> Iterator[str]:
    if _uses(source, "sleep"):
        yield f"{path} sleeps: wait for an event with a deadline, so that stopping does not wait"


def configures_logging(path: str, source: str) -> Iterator[str]:
    if not path.startswith(MAY_CONFIGURE_LOGGING) and _uses(source, "basicConfig"):
        yield f"{path} configures logging: the command does, the library asks"


def private_pika(path: str, source: str) -> Iterator[str]:
    """What ties us to one version of pika, or changes it for everybody in the process."""
    modules = list(_imports(path, source))
    imports_pika = any(module.partition(".")[0] == "pika" for module in modules)
    for module in modules:
        if module.startswith("pika.") and any(part.startswith("_") for part in module.split(".")):
            yield f"{path} imports {module}"
    if imports_pika and re.search(r"noqa:.*SLF001", source):
        yield f"{path} uses a private name, and imports pika"
    for target in _assigned(source, set(_imported_names(source))):
        yield f"{path} assigns to {target}, which it imported"


def too_long(path: str, text: str) -> Iterator[str]:
    lines = len(text.splitlines())
    if lines > MAX_LINES:
        yield f"{path} has {lines} lines, more than {MAX_LINES}"


def untested(path: str, source: str, exists: Callable[[str], bool]) -> Iterator[str]:
    if path in TESTED_ELSEWHERE:
        if not exists(TESTED_ELSEWHERE[path]):
            yield f"{path} is said to be tested by {TESTED_ELSEWHERE[path]}, which is not there"
        return
    folder, _, name = path.rpartition("/")
    stem = folder.rpartition("/")[2] if name == "__init__.py" else name.removesuffix(".py")
    mirror = f"tests/unit/{folder}/test_{stem}.py"
    if _has_behaviour(source) and not exists(mirror):
        yield f"{path} has no {mirror} (nor an entry in TESTED_ELSEWHERE)"


@cache
def _nodes(source: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(source)))


def _imports(path: str, source: str) -> Iterator[str]:
    """Full names of all modules that a file imports, wherever in it; `from a import b` may be either."""
    package = ["fanlight", *path.rpartition("/")[0].split("/")]
    for node in _nodes(source):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _imported_names(source: str) -> Iterator[str]:  # of other libraries
    ours = {*sys.stdlib_module_names, "fanlight", "scripts", "tests"}
    for node in _nodes(source):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            base = getattr(node, "module", None)
            for alias in node.names:
                if (base or alias.name).partition(".")[0] not in ours:
                    yield alias.asname or alias.name.partition(".")[0]


def _assigned(source: str, imported: set[str]) -> Iterator[str]:
    """What is assigned to an attribute of an imported module or class, or put into `sys.modules`."""
    for node in _nodes(source):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr":
            targets = node.args[:1]
        else:
            targets = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else []
        for target in targets:
            text = ast.unparse(target)
            patched = isinstance(target, ast.Attribute) or isinstance(node, ast.Call)
            if (patched and text.partition(".")[0] in imported) or text.startswith("sys.modules["):
                yield text


def _uses(source: str, name: str) -> bool:
    """True if a function of that name is called or imported. Strings and comments do not count."""
    for node in _nodes(source):
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return True
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id == name:
                return True
            if isinstance(called, ast.Attribute) and called.attr == name:
                return True
    return False


def _has_behaviour(source: str) -> bool:
    """False for a file that only declares: constants, dataclasses, protocols, plain accessors."""
    functions = [n for n in _nodes(source) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return any(not _is_declaration(statement) for function in functions for statement in function.body)


def _is_declaration(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Return):
        value = statement.value
        while isinstance(value, ast.Attribute):
            value = value.value
        return value is None or isinstance(value, (ast.Constant, ast.Name))
    return isinstance(statement, ast.Pass)


# The checks, applied ---------------------------------------------------------------------------------


def texts(pattern: str, *folders: str) -> list[tuple[str, str]]:
    found = []
    for folder in folders:
        for file in sorted((ROOT / folder).rglob(pattern)):
            path = file.relative_to(ROOT)
            if not any(
                part.startswith(".") or part in ("__pycache__", "node_modules") for part in path.parts
            ):
                found.append((path.as_posix(), file.read_text()))
    return found


def exists(path: str) -> bool:
    return (ROOT / path).exists()


def violations(
    check: Callable[..., Iterator[str]], files: list[tuple[str, str]], *more: object
) -> list[str]:
    return [wrong for path, text in files for wrong in check(path, text, *more)]


SOURCE: Final = texts("*.py", *PACKAGES)
ALL_PYTHON: Final = texts("*.py", *PACKAGES, "scripts", "tests")


@pytest.mark.parametrize(
    "check", [forbidden_imports, misplaced_third_party, prints, sleeps, configures_logging]
)
def test_source_files_keep_the_rule(check: Callable[..., Iterator[str]]) -> None:
    assert violations(check, SOURCE) == []


def test_other_libraries_are_used_as_they_are_published() -> None:
    assert violations(private_pika, texts("*.py", *PACKAGES, "scripts")) == []


def test_files_are_short_enough_to_be_read() -> None:
    assert violations(too_long, ALL_PYTHON) == []


def test_every_source_file_has_its_test() -> None:
    assert violations(untested, SOURCE, exists) == []


def test_tests_that_are_counted_on_belong_to_files_that_exist() -> None:
    assert [path for path in TESTED_ELSEWHERE if not exists(path)] == []


def test_the_top_level_has_these_folders() -> None:
    assert [
        name for name in (*PACKAGES, "fanlight", "scripts", "tests", "pyproject.toml") if not exists(name)
    ] == []
    assert {path.partition("/")[0] for path, _ in ALL_PYTHON} == {*PACKAGES, "scripts", "tests"}
    assert {file.name for file in ROOT.glob("*.py")} == set()


# The checks, checked ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "path", "source"),
    [
        (forbidden_imports, "common/model/x.py", "import consumer.stats"),
        (forbidden_imports, "common/codec/x.py", "def f():\n    from fanlight.producer import Producer"),
        (forbidden_imports, "producer/x.py", "from fanlight import consumer"),
        (forbidden_imports, "producer/x.py", "from common import clock"),
        (forbidden_imports, "common/transport/amqp/x.py", "from fanlight.common import codec"),
        (forbidden_imports, "common/codec/x.py", "from .. import transport"),
        (forbidden_imports, "common/model/x.py", "from fanlight.common import clock"),
        (forbidden_imports, "common/shm/x.py", "import scripts.lib.apt"),
        (misplaced_third_party, "producer/x.py", "import pika"),
        (misplaced_third_party, "common/transport/base.py", "from pika.spec import Basic"),
        (misplaced_third_party, "consumer/x.py", "def f():\n    import cv2"),
        (misplaced_third_party, "common/codec/x.py", "import requests"),
        (prints, "producer/x.py", "print('hello')"),
        (sleeps, "consumer/x.py", "import time\ntime.sleep(1)"),
        (sleeps, "consumer/x.py", "from time import sleep as nap"),
        (configures_logging, "producer/cli.py", "import logging\nlogging.basicConfig()"),
        (private_pika, "common/x.py", "from pika.channel import _OnCancelCallback"),
        (private_pika, "common/x.py", "import pika._hidden"),
        (private_pika, "scripts/x.py", "import pika\nx = pika.y._z  # noqa: SLF001"),
        (private_pika, "common/x.py", "import pika.data\npika.data.decode_table = f"),
        (private_pika, "common/x.py", "from pika import data\ndel data.decode_table"),
        (private_pika, "common/x.py", "from pika import Channel\nsetattr(Channel, 'basic_ack', f)"),
        (private_pika, "common/x.py", "import sys\nsys.modules['pika.x'] = None"),
        (too_long, "common/x.py", "x = 1\n" * 401),
    ],
)
def test_a_check_finds(check: Callable[..., Iterator[str]], path: str, source: str) -> None:
    assert len(list(check(path, source))) >= 1


@pytest.mark.parametrize(
    ("check", "path", "source"),
    [
        (forbidden_imports, "producer/x.py", "from fanlight.common import codec\nimport producers"),
        (misplaced_third_party, "common/transport/amqp/x.py", "import pika, ssl, fanlight.common.x"),
        (prints, "scripts/x.py", "print('hello')"),
        (prints, "producer/x.py", "# print('hello')\npprint = 'print()'"),
        (sleeps, "consumer/x.py", "event.wait(1)"),
        (configures_logging, "scripts/demo.py", "import logging\nlogging.basicConfig()"),
        (private_pika, "common/x.py", "from pika import spec\nself.channel = spec.Basic\nx = self._y"),
        (too_long, "common/x.py", "x = 1\n" * 400),
    ],
)
def test_a_check_lets_pass(check: Callable[..., Iterator[str]], path: str, source: str) -> None:
    assert list(check(path, source)) == []


def recorder(asked: list[str]) -> Callable[[str], bool]:
    """Stands for a tree in which nothing exists, and notes what was looked for."""

    def exists_nowhere(path: str) -> bool:
        asked.append(path)
        return False

    return exists_nowhere


@pytest.mark.parametrize(
    ("path", "source", "mirror"),
    [
        ("common/x.py", "def f(a):\n    return a + 1", "tests/unit/common/test_x.py"),
        (
            "consumer/sinks/x.py",
            "class X:\n    def f(self):\n        self.a = 1",
            "tests/unit/consumer/sinks/test_x.py",
        ),
        ("common/codec/__init__.py", "def f():\n    g()", "tests/unit/common/codec/test_codec.py"),
        ("common/x.py", "class X:\n    @property\n    def f(self):\n        return self.a.b", None),
        ("common/x.py", "class P(Protocol):\n    def f(self):\n        'Doc.'\n        ...", None),
        ("common/__init__.py", "'Doc.'\nfrom fanlight.common.x import y\n__all__ = ['y']", None),
    ],
)
def test_a_mirror_is_asked_for_where_something_is_done(path: str, source: str, mirror: str | None) -> None:
    asked: list[str] = []
    wrong = list(untested(path, source, recorder(asked)))
    assert asked == ([mirror] if mirror else [])
    assert bool(wrong) == bool(mirror)
    assert list(untested(path, source, lambda name: name == mirror)) == []
