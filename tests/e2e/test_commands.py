"""Both command lines as a user meets them: arguments, refusals, signals, ends."""

from __future__ import annotations

import csv
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import UnroutableError

import fanlight
from fanlight.common.transport.amqp import topology
from tests.support.broker import tcp_url
from tests.support.commands import ROOT, Command, clean_environment, run, running
from tests.support.media_server import CLIP
from tests.support.timing import scaled, wait_until

BOTH = ("producer", "consumer")
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SMALL = ("--size", "320x180")
TRACE_HEADER = ["seq", "capture_ns", "received_ns", "presented_ns", "event", "meta"]
EVENTS = {"presented", "superseded", "late", "undecodable", "awaiting_key"}

BAD_ARGUMENTS = [
    ("producer", ["--bogus", "1"], ["--bogus", "--help"]),
    ("consumer", ["--url", "http://x"], ["--url", "http://x", "amqp://"]),
    ("producer", ["--fps", "0"], ["--fps", "'0'", "from 0.000001"]),
    ("producer", ["--source", "missing.mp4"], ["--source", "missing.mp4", "no such file"]),
    ("consumer", ["--sink", "foo"], ["--sink", "foo", "window, status, null"]),
    ("consumer", ["--sink", "record:/nope/x.mp4"], ["--sink", "/nope/x.mp4", "can be written"]),
    ("producer", ["--payload-frames", "3"], ["--payload-frames", "3", "only --url tcp+threads://"]),
]


class Broker:
    """Finds out whether a queue is bound, by publishing a message that has to be routed."""

    def __init__(self, channel: BlockingChannel, stream: str) -> None:
        self._channel = channel
        self._stream = stream
        channel.confirm_delivery()
        channel.exchange_declare(topology.exchange(stream), "fanout", durable=True)
        channel.exchange_declare(topology.CONTROL_EXCHANGE, "direct", durable=True)

    def has_queue_of(self, program: str) -> bool:
        """True if the stream's consumer, or producer, has a queue."""
        where = (topology.exchange(self._stream), "")
        if program == "producer":
            where = (topology.CONTROL_EXCHANGE, self._stream)
        try:
            self._channel.basic_publish(*where, b"", mandatory=True)
        except UnroutableError:
            return False
        return True

    def delete(self) -> None:
        self._channel.exchange_delete(topology.exchange(self._stream))


@pytest.fixture
def broker(broker_url: str, stream: str) -> Iterator[Broker]:
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        asked = Broker(connection.channel(), stream)
        yield asked
        asked.delete()


@pytest.fixture
def on_stream(broker: Broker, broker_url: str, stream: str) -> tuple[str, ...]:
    """The flags that lead a command to this test's stream."""
    assert not broker.has_queue_of("consumer")
    return ("--url", broker_url, "--stream", stream)


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A port that is ours and where nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"amqp://127.0.0.1:{held.getsockname()[1]}/fanlight"


def end_with(command: Command, number: signal.Signals) -> None:
    """Send the signal; the command has to end soon (2 s, and what a busy machine adds), with code 0."""
    command.signal(number)
    assert command.wait(timeout_s=5.0) == 0, command.err.text
    assert "Traceback" not in command.err.text, command.err.text


@pytest.mark.parametrize(("program", "arguments", "parts"), BAD_ARGUMENTS)
def test_bad_argument_is_refused_in_one_line(program: str, arguments: list[str], parts: list[str]) -> None:
    code, command = run(program, *arguments)
    assert code == 2, command.err.text
    (line,) = command.err.lines
    assert line.text.startswith(f"{program}: ")
    assert [part for part in parts if part not in line.text] == [], line.text
    assert command.out.lines == []


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_ends_streaming(
    number: signal.Signals, broker: Broker, on_stream: tuple[str, ...], tmp_path: Path
) -> None:
    picture = tmp_path / "seen.png"
    with (
        running("producer", *on_stream, *SMALL) as producer,
        running("consumer", *on_stream, "--sink", f"snapshot:{picture}") as consumer,
    ):
        wait_until(picture.exists, 40, "a frame arrives")
        assert broker.has_queue_of("consumer")
        assert broker.has_queue_of("producer")
        end_with(consumer, number)
        wait_until(lambda: not broker.has_queue_of("consumer"), 20, "the consumer's queue goes")
        end_with(producer, number)
        wait_until(lambda: not broker.has_queue_of("producer"), 20, "the producer's queue goes")


@pytest.mark.brokerless
@pytest.mark.parametrize(("design", "number"), [("threads", signal.SIGINT), ("multiplex", signal.SIGTERM)])
def test_signal_ends_streaming_without_a_broker(
    design: str, number: signal.Signals, stream: str, tmp_path: Path
) -> None:
    """The producer first, then a consumer that it leaves behind."""
    picture = tmp_path / "seen.png"
    where = ("--url", tcp_url(design), "--stream", stream)
    with (
        running("producer", *where, *SMALL) as producer,
        running("consumer", *where, "--sink", f"snapshot:{picture}") as consumer,
    ):
        wait_until(picture.exists, 40, "a frame arrives")
        end_with(producer, number)
        consumer.wait_line("attempt 2")
        end_with(consumer, number)
    assert "published" in producer.err.text


def test_signal_ends_idle(broker: Broker, on_stream: tuple[str, ...]) -> None:
    """A producer that nobody watches; then a consumer that nobody feeds."""
    with running("producer", *on_stream, *SMALL) as producer:
        wait_until(lambda: broker.has_queue_of("producer"), 15, "the producer's queue is there")
        end_with(producer, signal.SIGINT)
        wait_until(lambda: not broker.has_queue_of("producer"), 20, "the producer's queue goes")
    with running("consumer", *on_stream, "--sink", "null") as consumer:
        wait_until(lambda: broker.has_queue_of("consumer"), 15, "the consumer's queue is there")
        end_with(consumer, signal.SIGTERM)
        wait_until(lambda: not broker.has_queue_of("consumer"), 20, "the consumer's queue goes")


def test_signal_ends_connecting(silent_url: str) -> None:
    with (
        running("producer", "--url", silent_url, *SMALL) as producer,
        running("consumer", "--url", silent_url, "--sink", "null") as consumer,
    ):
        for command in (producer, consumer):
            command.wait_line("nothing answers")
        for command, number in ((producer, signal.SIGTERM), (consumer, signal.SIGINT)):
            end_with(command, number)


def handles(process_id: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for the signal (proc(5))."""
    caught = Path(f"/proc/{process_id}/status").read_text().partition("SigCgt:")[2].split()[0]
    return bool(int(caught, 16) >> (number - 1) & 1)


@pytest.mark.parametrize("program", BOTH)
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_modules_are_imported_is_an_orderly_end(
    program: str, number: signal.Signals, silent_url: str
) -> None:
    with running(program, "--url", silent_url) as command:
        # SIGINT has a handler from Python's start on, SIGTERM from the command's first import on.
        wait_until(lambda: handles(command.process.pid, signal.SIGTERM), 20, "it handles signals")
        end_with(command, number)
        # On a busy machine it may have come further by the time that the signal is sent.
        assert all("nothing answers" in line.text or " to amqp" in line.text for line in command.err.lines)


@pytest.mark.parametrize("program", BOTH)
def test_the_same_signal_twice_is_one(program: str, silent_url: str) -> None:
    """As `timeout` sends it: to its child, and to its process group."""
    with running(program, "--url", silent_url) as command:
        command.wait_line("nothing answers")
        command.signal(signal.SIGTERM)
        end_with(command, signal.SIGTERM)


@pytest.mark.parametrize(
    ("program", "flag"), [("producer", "--help"), ("consumer", "--version"), ("consumer", "--doctor")]
)
def test_a_reader_of_stdout_may_go_and_stdout_may_be_closed(
    program: str, flag: str, silent_url: str
) -> None:
    given = [sys.executable, "-m", program, flag, "--url", silent_url]
    for shell in ('"$@" | true', '"$@" | head -1', '"$@" >&-'):
        done = subprocess.run(
            ["bash", "-c", f"{shell}; exit ${{PIPESTATUS[0]}}", "bash", *given],
            cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False,
            timeout=scaled(60),
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        assert "Exception" not in done.stderr
        # A doctor whose every line is taken, or has nowhere to go, finds that there is no broker.
        assert done.returncode == 0 or (flag == "--doctor" and shell != '"$@" | true'), shell


def test_a_status_line_may_go_nowhere(silent_url: str) -> None:
    status = [sys.executable, "-m", "consumer", "--sink", "status", "--duration", "1s", "--url", silent_url]
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *status], cwd=ROOT, env=clean_environment(), capture_output=True,
        text=True, check=False, timeout=scaled(20),
    )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


@pytest.mark.parametrize("called", [["-m", "producer"], ["-m", "fanlight.consumer"]])
def test_the_help_that_an_error_names_can_be_run(called: list[str]) -> None:
    def run_it(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            arguments, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False,
            timeout=scaled(20),
        )  # fmt: skip

    named = run_it(sys.executable, *called, "--bogus").stderr.partition("(see ")[2].partition(")")[0]
    assert named == " ".join([sys.executable, *called, "--help"])
    shown = run_it(*named.split())
    assert shown.returncode == 0
    for title in ("stream and broker:", "credentials:", "logging, monitoring, diagnosis:", "examples:"):
        assert f"\n{title}\n" in shown.stdout
    version = run_it(sys.executable, *called, "--version").stdout
    assert version == f"Fanlight {fanlight.__version__}\n"


def test_consumer_ends_after_its_frames_and_leaves_a_trace(
    on_stream: tuple[str, ...], tmp_path: Path
) -> None:
    trace = tmp_path / "trace.csv"
    with running("producer", *on_stream, *SMALL) as producer:
        code, consumer = run(
            "consumer",
            *(*on_stream, "--name", "c1", "--frames", "30", "--sink", f"trace:{trace}", "--sink", "status"),
        )
        assert code == 0, consumer.err.text
        end_with(producer, signal.SIGTERM)
    header, *rows = csv.reader(trace.read_text().splitlines())
    assert header == TRACE_HEADER
    assert {row[4] for row in rows} <= EVENTS
    presented = [row for row in rows if row[4] == "presented"]
    assert len(presented) == 30
    seqs = [int(row[0]) for row in presented]
    assert seqs == sorted(set(seqs))
    assert all(int(row[1]) <= int(row[2]) <= int(row[3]) for row in presented)
    assert all(row[3] == "" for row in rows if row[4] != "presented")
    assert any(line.text.startswith("c1") and "fps" in line.text for line in consumer.out.lines)


def test_duration_ends_both(on_stream: tuple[str, ...]) -> None:
    began_s = time.monotonic()
    with (
        running("producer", *on_stream, *SMALL, "--duration", "2s") as producer,
        running("consumer", *on_stream, "--sink", "null", "--duration", "2s") as consumer,
    ):
        for command in (producer, consumer):
            assert command.wait() == 0, command.err.text
            assert time.monotonic() - began_s >= 2.0


def test_producer_of_a_file_ends_with_it(on_stream: tuple[str, ...], tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed (apt-get install ffmpeg)")
    clip = tmp_path / "short.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-t", "1", "-i", str(CLIP), "-an", "-c", "copy", str(clip)],
        check=True,
        timeout=scaled(20),
    )
    code, producer = run("producer", *on_stream, "--source", str(clip))
    assert code == 0, producer.err.text
    (line,) = [line.text for line in producer.err.lines if "ended" in line.text]
    assert "short.mp4" in line


@pytest.mark.parametrize("program", BOTH)
def test_a_crash_in_native_code_says_where_and_ends_with_its_signal(program: str, silent_url: str) -> None:
    with running(program, "--url", silent_url) as command:
        command.wait_line("nothing answers")
        command.signal(signal.SIGSEGV)
        assert command.wait(10) == -signal.SIGSEGV
        assert "Segmentation fault" in command.err.text
        assert "(most recent call first)" in command.err.text
