from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fanlight.common.runtime.argv import has_password

ROOT = Path(__file__).parents[4]
LINE = Path("/proc/self/cmdline")
CHILD = """
import sys
from pathlib import Path
from fanlight.common.runtime.argv import hide_passwords
hide_passwords()
sys.stdout.write(repr(Path("/proc/self/cmdline").read_bytes().rstrip(b"\\0").split(b"\\0")[3:]))
sys.stdout.write("|" + repr(sys.argv[1:]))
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
    ],
)
def test_it_sees_a_password(arguments: list[str], there: bool) -> None:
    assert has_password(arguments) is there


@pytest.mark.skipif(not LINE.exists(), reason="the process list is another one here")
@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (["--url", "amqp://ann:secret@h/v", "--loop"], ["--url", "amqp://ann:***@h/v", "--loop"]),
        (["--url=amqp://ann:secret@h/v"], ["--url=amqp://ann:***@h/v"]),
        (["ünder", "amqp://ann:s3crét@h", "ß"], ["ünder", "amqp://ann:***@h", "ß"]),
        (["amqp://a:p@h", "last"], ["amqp://a:***@h", "la"]),
        (["--plain", "x"], ["--plain", "x"]),
    ],
)
def test_others_do_not_see_it_and_we_still_do(told: list[str], shown: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *told], cwd=ROOT, capture_output=True, text=True, check=True
    )
    seen, _, kept = done.stdout.partition("|")
    assert seen == repr([argument.encode() for argument in shown])
    assert kept == repr(told)
