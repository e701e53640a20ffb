from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fanlight.common.runtime.argv import has_secret

ROOT = Path(__file__).parents[4]
LINE = Path("/proc/self/cmdline")
CHILD = """
import sys
from pathlib import Path
from fanlight.common.runtime.argv import hide_secrets
warned = hide_secrets()
assert hide_secrets() == warned, "idempotent"
sys.stdout.write(repr(Path("/proc/self/cmdline").read_bytes().rstrip(b"\\0").split(b"\\0")[3:]))
sys.stdout.write("|" + repr(sys.argv[1:]) + "|" + str(warned))
"""


@pytest.mark.parametrize(
    ("arguments", "there"),
    [
        ([], False),
        (["--url", "amqp://fanlight:fanlight@localhost:5672/fanlight"], False),
        (["--url", "amqp://ann@host/v", "--sink", "snapshot:a.png"], False),
        (["--url", "amqp://ann:secret@host/v"], True),
        (["--url=amqps://ann:secret@host/v"], True),
        (["--source", "rtsp://ann:secret@camera/1"], True),
        (["--source", "rtsp://camera/1?password=secret"], True),
        (["--source", "rtsp://camera/secret=1"], True),
        (["--source", "http://camera:8080/video.mjpg"], False),
        (["--url", "amqp://ann@host/v?heartbeat=30"], False),
        (["--key=client.pem"], False),
    ],
)
def test_a_secret_in_an_argument_is_found(arguments: list[str], there: bool) -> None:
    assert has_secret(arguments) is there


@pytest.mark.skipif(not LINE.exists(), reason="the process list is another one here")
@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["--url", "amqp://ann:secret@h/v", "--loop"], ["--url", "amqp://***@h/v", "--loop"]),
        (["--url=amqp://ann:secret@h/v"], ["--url=amqp://***@h/v"]),
        (["ünder", "amqp://ann:s3crét@h", "ß"], ["ünder", "amqp://***@h", "ß"]),
        (["amqp://a:p@h", "last"], ["amqp://***@h", "last"]),
        (["rtsp://camera/1?any=secret", "x"], ["rtsp://camera/1?any=***", "x"]),
        (["--source=rtsp://camera/user=a_pw=secret/1"], ["--source=rtsp://camera/***/1"]),
        (["rtsp://camera/1?a=s", "last"], ["rtsp://camera/1?a=***", "la"]),
        (["--plain", "x"], ["--plain", "x"]),
    ],
)
def test_a_secret_is_hidden_in_the_process_list_and_kept_in_argv(
    given: list[str], shown: list[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *given], cwd=ROOT, capture_output=True, text=True, check=True
    )
    listed, kept, warned = done.stdout.split("|")
    assert listed == repr([argument.encode() for argument in shown])
    assert kept == repr(given)
    if given == shown:
        assert warned == "None"
    else:
        assert "FANLIGHT_SOURCE or --source-file" in warned
        assert "hidden from now on" in warned
