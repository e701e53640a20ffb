"""A password is looked for wherever somebody could find it: what programs say, write and show."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pika
import pytest

from fanlight.common.model.address import parse_url
from fanlight.common.model.credentials import Credentials
from fanlight.common.model.errors import BrokerRefused, ConfigError
from fanlight.consumer import Consumer
from fanlight.consumer.settings import ConsumerSettings
from fanlight.producer import Producer
from fanlight.producer.settings import ProducerSettings
from scripts.lib import broker as brokers
from scripts.lib.instance import Record
from scripts.private_node import PrivateNode
from tests.support.broker import tcp_url
from tests.support.commands import Command, clean_environment, run, running
from tests.support.timing import scaled, wait_until
from tests.support.tls import TlsNode

ROOT = Path(__file__).parents[2]
SECRET = f"S3cret-{secrets.token_hex(8)}"
USER = "keeper"
PROC = Path("/proc")


@pytest.fixture(scope="module")
def node(tls_broker: TlsNode) -> PrivateNode:
    """A broker with a user whose password is the secret."""
    made = tls_broker.node
    made.ctl("add_user", USER, SECRET)
    made.ctl("set_permissions", "-p", "fanlight", USER, ".*", ".*", ".*")
    return made


@pytest.fixture
def password_file(tmp_path: Path) -> str:
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    return str(path)


def url_of(node: PrivateNode, credentials: str = USER) -> str:
    return f"amqp://{credentials}@127.0.0.1:{node.port}/fanlight"


def process_list(*pids: int) -> str:
    """The command lines of those that still run."""
    shown = []
    for pid in pids:
        with suppress(OSError):
            shown.append((PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace"))
    return " ".join(shown)


def output(command: Command) -> str:
    return f"{command.out.text}\n{command.err.text}"


def test_no_file_and_no_output_has_it(
    node: PrivateNode, stream: str, tmp_path: Path, password_file: str
) -> None:
    written = [tmp_path / name for name in ("trace.csv", "record.mkv", "shot.png")]
    sinks = [f"trace:{written[0]}", f"record:{written[1]}", f"snapshot:{written[2]}", "status"]
    sending = ["--url", url_of(node), "--stream", stream, "--size", "320x180"]
    watching = [
        "--url",
        url_of(node),
        "--stream",
        stream,
        "--password-file",
        password_file,
        "--frames",
        "40",
    ]
    with running("producer", *sending, environment={"FANLIGHT_PASSWORD": SECRET}) as producer:
        producer.wait_line("connected to")
        with running(
            "consumer", *watching, *(part for sink in sinks for part in ("--sink", sink))
        ) as consumer:
            consumer.wait_line("connected to")
            shown = process_list(producer.process.pid, consumer.process.pid)
            assert "--password-file" in shown
            assert consumer.wait() == 0, consumer.err.text
        producer.signal(signal.SIGINT)
        assert producer.wait() == 0
    for file in written:
        assert file.stat().st_size > 0
        assert SECRET.encode() not in file.read_bytes(), file
    for text in (output(producer), output(consumer), shown):
        assert SECRET not in text


REFUSED = [
    ("amqp://keeper:{}@127.0.0.1:{}/other", 1, "vhost 'other' does not exist"),
    ("amqp://keeper:not-{}@127.0.0.1:{}/fanlight", 1, "refused the user name or password of 'keeper'"),
    ("amqp://keeper:{}/x@127.0.0.1:{}/fanlight", 2, "write '/' and '@' in a password"),
    ("amqp://keeper:{}", 2, "--url 'amqp://keeper:***' cannot be used"),
    ("keeper:{}@127.0.0.1", 2, "allowed is amqp://"),
    ("https://keeper:{}@127.0.0.1", 2, "allowed is amqp://"),
]


@pytest.mark.parametrize(
    ("program", "url", "code", "reason"),
    [*(("consumer", *case) for case in REFUSED), *(("producer", *case) for case in REFUSED[1:3])],
)
def test_no_error_repeats_it(node: PrivateNode, program: str, url: str, code: int, reason: str) -> None:
    given = url.format(SECRET, node.port)
    exit_code, command = run(program, environment={"FANLIGHT_URL": given})
    assert exit_code == code
    assert reason in command.err.text
    assert SECRET not in output(command)


def test_no_unknown_argument_repeats_it(node: PrivateNode) -> None:
    code, command = run("consumer", url_of(node, f"{USER}:{SECRET}"))
    assert code == 2
    assert "unrecognized arguments" in command.err.text
    assert SECRET not in output(command)


def test_no_unknown_host_and_no_second_password_repeats_it(node: PrivateNode) -> None:
    with running(
        "consumer", "--url", "amqp://ann@no-such-host.invalid/v", environment={"FANLIGHT_PASSWORD": SECRET}
    ) as lost:
        lost.wait_line("no such host")
    url = url_of(node, f"{USER}:{SECRET}")
    code, twice = run("producer", environment={"FANLIGHT_URL": url, "FANLIGHT_PASSWORD": SECRET})
    assert code == 2
    assert "leave one of them out" in twice.err.text
    for command in (lost, twice):
        assert SECRET not in output(command)


def test_a_password_on_the_command_line_is_hidden_and_warned_of(node: PrivateNode, stream: str) -> None:
    url = url_of(node, f"{USER}:{SECRET}")
    with running("consumer", "--stream", stream, f"--url={url}", "--sink", "null") as consumer:
        consumer.wait_line("connected to")
        assert consumer.err.text.count("on the command line can be read by everybody") == 1
        shown = process_list(consumer.process.pid)
        assert f"--url={url_of(node, '***')}" in shown
        assert SECRET not in shown
        assert SECRET not in output(consumer)


SOURCES = [
    "rtsp://{}@127.0.0.1:1/x",
    "rtsp://admin:{}@127.0.0.1:1/x",
    "rtsp://127.0.0.1:1/user=admin_password={}_channel=1_stream=0.sdp",
    "http://127.0.0.1:1/v.cgi?loginuse=admin&loginpas={}",
    "http://127.0.0.1:1/v.cgi?{}",
    "http://127.0.0.1:1/live/{}/index.m3u8",
    "rtmp://127.0.0.1:1/live/{}",
    "no-such-protocol://127.0.0.1:1/{}",
]


@pytest.mark.parametrize("source", SOURCES)
def test_a_secret_of_a_source_is_in_no_log_no_error_no_doctor_and_no_process_list(source: str) -> None:
    where = ("--url", tcp_url("multiplex"), "--log-format", "json", "--wait", "0")
    with running("producer", "--source", source.format(SECRET), *where) as given:
        given.wait_line("FANLIGHT_SOURCE or --source-file")
        assert SECRET not in process_list(given.process.pid)
        assert given.wait() in {1, 2}
    assert "127.0.0.1:1" in given.err.text
    code, asked = run(
        "producer", "--doctor", *where, environment={"FANLIGHT_SOURCE": source.format(SECRET)}
    )
    assert code == 1
    assert "127.0.0.1:1" in asked.out.text
    for command in (given, asked):
        assert SECRET not in output(command)


def test_a_source_comes_from_a_file_and_is_shown_on_request(tmp_path: Path) -> None:
    file = tmp_path / "source"
    file.write_text(f"http://127.0.0.1:1/{SECRET}\r\n")
    file.chmod(0o600)
    where = ("--url", tcp_url("multiplex"), "--wait", "0")
    code, hidden = run("producer", "--source-file", str(file), *where)
    assert (code, SECRET in output(hidden)) == (1, False)
    code, shown = run("producer", "--source-file", str(file), *where, "--show-source")
    assert code == 1
    assert f"http://127.0.0.1:1/{SECRET} " in shown.err.text


CRASH = """
import os
import sys
from fanlight.common.transport.amqp.node_rotation import HostRotation
from fanlight.consumer.cli import main

def broken(hosts, now_ns):
    raise RuntimeError("broken on purpose at amqp://keeper:" + os.environ["FANLIGHT_PASSWORD"] + "@host/v")

HostRotation.established = broken
sys.exit(main())
"""


def test_a_crash_with_its_traceback_does_not_show_it(node: PrivateNode, stream: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASH, "--stream", stream, "--sink", "null"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=scaled(30),
        env=clean_environment() | {"FANLIGHT_URL": url_of(node), "FANLIGHT_PASSWORD": SECRET},
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "broken on purpose" in done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_no_repr_and_no_str_has_it(node: PrivateNode, stream: str) -> None:
    url = url_of(node, f"{USER}:{SECRET}")
    credentials = Credentials(password=SECRET, token=SECRET)
    with pytest.raises(ConfigError) as malformed:
        parse_url(f"amqp://{USER}:{SECRET}/{SECRET}@host")
    with Producer(stream=stream, url=url) as sending, Consumer(stream=stream, url=url) as watching:
        wait_until(lambda: watching.stats().connected, 20, "it is connected")
        other = Consumer(stream=stream, url=url_of(node), password=f"not {SECRET}")
        with other, pytest.raises(BrokerRefused) as refused:
            other.read(scaled(10))
        parts = [
            sending, watching, *vars(sending).values(), *vars(watching).values(), refused.value,
            malformed.value, *vars(malformed.value).values(), credentials,
            credentials.address(url_of(node)), credentials.address("tcp+threads://:7000"), parse_url(url),
            ProducerSettings(url=url),
            ConsumerSettings(url=url), Record("private", url), brokers.Found(url, started=True),
            pika.PlainCredentials(USER, SECRET),
            pika.ConnectionParameters(credentials=pika.PlainCredentials(USER, SECRET)),
        ]  # fmt: skip
        for part in parts:
            assert SECRET not in repr(part) + str(part), type(part)


DEMO = """
import sys
from scripts.lib import demo
demo.ensure_venv = lambda say, extras: None
demo.PYTHON = sys.executable
sys.exit(demo.main())
"""


def test_the_demo_passes_it_on_unseen(node: PrivateNode) -> None:
    secret = {"FANLIGHT_URL": url_of(node), "FANLIGHT_PASSWORD": SECRET}
    lines, lists = [], ""
    with subprocess.Popen(
        [sys.executable, "-c", DEMO, "--consumers", "1"],
        cwd=ROOT, env=clean_environment() | secret, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as demo:  # fmt: skip
        assert demo.stdout is not None
        for line in demo.stdout:
            lines.append(line)
            if "fps" in line and not lists:
                lists = process_list(*family(demo.pid))
                demo.send_signal(signal.SIGINT)
        assert demo.wait(scaled(30)) == 0, lines
    assert lists.count("consumer") >= 2
    assert SECRET not in lists + "".join(lines)


def family(pid: int) -> list[int]:
    """A process and all that it has started, as far as they still run."""
    children: list[int] = []
    with suppress(OSError):
        for task in (PROC / str(pid) / "task").iterdir():
            with suppress(OSError):  # a thread may end at any time
                children += map(int, (task / "children").read_text().split())
    return [pid, *(one for child in children for one in family(child))]


def test_scripts_broker_does_not_print_it(node: PrivateNode) -> None:
    environment = clean_environment() | {"FANLIGHT_URL": url_of(node), "FANLIGHT_PASSWORD": SECRET}
    for action in ("up", "status", "url"):
        done = subprocess.run(
            [sys.executable, "scripts/broker", action], cwd=ROOT, env=environment, capture_output=True,
            text=True, check=False, timeout=scaled(30),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert SECRET not in done.stdout + done.stderr
    assert os.environ.get("FANLIGHT_PASSWORD") is None
