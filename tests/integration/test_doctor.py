"""`--doctor` of the real commands, against a real broker, and none."""

from __future__ import annotations

import subprocess

import pika
import pytest

from scripts.lib.bootstrap import PYTHON
from scripts.lib.ports import free_ports
from tests.support.commands import ROOT, running
from tests.support.display import xvfb
from tests.support.doctor import examine, problems
from tests.support.timing import scaled


def objects(url: str, stream: str) -> bool:
    """Whether the exchange of a stream is there."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        try:
            connection.channel().exchange_declare(f"fanlight.{stream}", passive=True)
        except pika.exceptions.ChannelClosedByBroker:
            return False
    return True


@pytest.mark.parametrize("program", ["producer", "consumer", "scripts.lib.doctor"])
def test_a_sound_installation_has_no_problems(program: str, broker_url: str, stream: str) -> None:
    doctor = () if program.startswith("scripts") else ("--doctor",)
    code, found = examine(program, *doctor, "--url", broker_url, "--stream", stream)
    assert problems(found) == {}
    assert code == 0
    assert {"packages", "codecs", "shared memory", "descriptors"} <= set(found)
    assert any(" at " in check for check in found)
    assert "none of stream" in found["producer"][1]
    assert not objects(broker_url, stream)  # it left nothing behind


def test_scripts_doctor_runs_all_checks(broker_url: str, stream: str) -> None:
    """It goes on in the virtual environment, where there is one: it would make one elsewhere."""
    if not PYTHON.exists():
        pytest.skip("there is no .venv here; scripts/test makes it")
    command = ["scripts/doctor", "--url", broker_url, "--stream", stream]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=scaled(120),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("doctor: nothing is wrong\n")


@pytest.mark.parametrize("design", ["amqp", "tcp+multiplex"])
def test_the_clock_of_a_producer_is_compared(design: str, broker_url: str, stream: str) -> None:
    url = broker_url if design == "amqp" else f"{design}://127.0.0.1:{free_ports(1)[0]}"
    where = ("--url", url, "--stream", stream)
    with running("producer", *where, "--size", "320x180") as producer:
        producer.wait_line("connected to" if design == "amqp" else "listening")
        code, found = examine("consumer", "--doctor", *where)
        assert (code, problems(found)) == (0, {})
        severity, text = found["producer"]
        assert severity == "ok"
        assert "its clock is" in text


def test_a_missing_broker_is_a_problem() -> None:
    (port,) = free_ports(1)
    url = f"amqp://me:SECRET@127.0.0.1:{port}/v"
    code, found = examine("consumer", "--doctor", "--url", url)
    assert code == 1
    assert "is the broker running?" in problems(found)[f"consumer at 127.0.0.1:{port}"]


def test_a_missing_producer_is_a_problem_without_a_broker() -> None:
    (port,) = free_ports(1)
    code, found = examine("consumer", "--doctor", "--url", f"tcp+threads://127.0.0.1:{port}")
    assert (code, set(problems(found))) == (1, {"producer"})
    code, found = examine("producer", "--doctor", "--url", f"tcp+threads://127.0.0.1:{port}")
    assert (code, problems(found)) == (0, {})


def test_a_missing_camera_or_display_is_a_problem(broker_url: str) -> None:
    code, found = examine("producer", "--doctor", "--url", broker_url, "--source", "97")
    assert code == 1
    assert "camera 97" in problems(found)["source"]
    flags = ("--doctor", "--url", broker_url, "--sink", "window")
    code, found = examine("consumer", *flags, DISPLAY=":9753")
    assert code == 1
    assert set(problems(found)) == {"display"}


def test_a_window_is_opened_on_a_display(broker_url: str) -> None:
    with xvfb() as display:
        flags = ("--doctor", "--url", broker_url, "--sink", "window")
        code, found = examine("consumer", *flags, DISPLAY=display.name)
    assert (code, problems(found)) == (0, {})
    assert "a window opens" in found["display"][1]
