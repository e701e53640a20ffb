"""Nobody reads what a command writes: it goes on, and ends when it is told to."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest

from tests.integration.test_pipeline import on_air
from tests.support.commands import ROOT, clean_environment, running
from tests.support.timing import scaled, wait_until


@contextmanager
def unread(program: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command whose output is one pipe, full from the beginning."""
    holder = subprocess.Popen(["sleep", "1000"], stdin=subprocess.PIPE)
    assert holder.stdin is not None
    fill = "import os, sys; os.set_blocking(1, False)\ntry:\n while True: os.write(1, b'x' * 4096)\n"
    fill += "except BlockingIOError: os.set_blocking(1, True)"
    subprocess.run([sys.executable, "-c", fill], stdout=holder.stdin, check=True)
    process = subprocess.Popen(
        [sys.executable, "-m", program, *arguments],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=holder.stdin,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        for each in (process, holder):
            each.kill()
            each.wait(scaled(10))
        holder.stdin.close()


def test_a_consumer_goes_on_and_ends(broker_url: str, stream: str) -> None:
    with on_air(stream, broker_url, "jpeg") as (out, _):
        where = ("--url", broker_url, "--stream", stream, "--name", "unread", "--sink", "status")
        with unread("consumer", *where) as consumer:
            wait_until(lambda: "unread" in out.stats().consumers, 20, "it reports")
            before = out.stats().published
            wait_until(lambda: out.stats().published > before + 60, 20, "time passes")
            wait_until(lambda: "unread" in out.stats().consumers, 20, "it still reports")
            consumer.send_signal(signal.SIGTERM)
            assert consumer.wait(scaled(5)) == 0


def test_a_producer_goes_on_and_ends(broker_url: str, stream: str) -> None:
    where = ("--url", broker_url, "--stream", stream)
    with unread("producer", *where, "--size", "160x90") as producer:
        with running("consumer", *where, "--sink", "null", "--frames", "60") as consumer:
            assert consumer.wait(30) == 0, consumer.err.text
        producer.send_signal(signal.SIGTERM)
        assert producer.wait(scaled(5)) == 0


def test_a_recording_is_complete_when_its_terminal_is_closed(
    broker_url: str, stream: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.mkv"
    where = ("--url", broker_url, "--stream", stream, "--sink", "status", "--sink", f"record:{path}")
    controller, terminal = pty.openpty()
    # The first process of a session that opens a terminal gets its SIGHUP.
    on_terminal = f'exec "$@" < {os.ttyname(terminal)} > {os.ttyname(terminal)} 2>&1'
    with on_air(stream, broker_url, "jpeg"):
        process = subprocess.Popen(
            ["sh", "-c", on_terminal, "sh", sys.executable, "-m", "consumer", *where],
            cwd=ROOT,
            env=clean_environment(),
            start_new_session=True,
        )
        wait_until(lambda: path.exists() and path.stat().st_size > 5000, 20, "it records")
        os.close(terminal)
        os.close(controller)
        assert process.wait(scaled(5)) == 0
    with av.open(str(path)) as recorded:
        assert recorded.duration, "an index was written"


@pytest.mark.parametrize("sink", ["trace:{}/fifo.csv"])
def test_a_sink_into_a_fifo_without_a_reader_is_refused(
    tmp_path_factory: pytest.TempPathFactory, sink: str
) -> None:
    folder = tmp_path_factory.mktemp("fifo")
    subprocess.run(["mkfifo", str(folder / "fifo.csv")], check=True)
    with running("consumer", "--sink", sink.format(folder)) as consumer:
        assert consumer.wait(10) == 2
        assert "nobody reads it" in consumer.err.text
