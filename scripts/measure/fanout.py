"""`bench.py fanout`: what one producer process can serve by itself, and how long it holds the GIL."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import av

from fanlight.common.codec import encoder
from fanlight.common.model.frame import Codec, EncodedFrame
from fanlight.common.transport.tcp.wire import frame_message
from scripts.lib.headers import header
from scripts.lib.instance import CHECKOUT
from scripts.lib.ports import free_ports, is_free
from scripts.measure import counters
from scripts.measure.clip import FPS
from scripts.measure.processes import Fleet, RunFailed, wait_for

DESIGNS: Final = ("threads", "multiplex")
CLIENTS: Final = (20, 100, 200, 400)
_SETTLE_S: Final = 3.0
_PROFILE_HZ: Final = 500
_START_S: Final = 30.0
_FRAMES: Final = 300


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that runs the producer.

    Attributes:
        gil: "0" or "1" for PYTHON_GIL; None to leave it alone.
    """

    title: str
    path: str
    gil: str | None = None


def interpreters(other: str | None) -> list[Interpreter]:
    """This one; and another one, with and without GIL if it can be without."""
    found = [Interpreter("this Python", sys.executable)]
    if other is not None:
        asked = "import sys; print(hasattr(sys, '_is_gil_enabled') and not sys._is_gil_enabled())"
        free = subprocess.run([other, "-c", asked], capture_output=True, text=True, check=True)
        if free.stdout.strip() == "True":
            found += [
                Interpreter("free-threaded, GIL on", other, "1"),
                Interpreter("free-threaded", other, "0"),
            ]
        else:
            found.append(Interpreter("other Python", other))
    return found


def run(
    results: Path,
    clip: Path,
    *,
    clients: Sequence[int],
    span_s: float,
    other: str | None,
    show: Callable[[str], None],
) -> list[dict[str, Any]]:
    """All designs, numbers of clients and interpreters; rows for a table, also kept as fanout.json.

    Args:
        other: path of another Python that runs the producer as well.
    """
    frames = results / "frames.bin"
    frames.write_bytes(encoded(clip))
    rows: list[dict[str, Any]] = []
    for viewers in clients:
        for design in DESIGNS:
            for python in interpreters(other):
                row: dict[str, Any] = {"design": design, "clients": viewers, "python": python.title}
                folder = results / f"{len(rows):02d}-{design}-{viewers}"
                url = f"tcp+{design}://127.0.0.1:{free_ports(1)[0]}"
                with Fleet(folder, {} if python.gil is None else {"PYTHON_GIL": python.gil}) as fleet:
                    command = [python.path, "-m", "scripts.measure.feed", url, str(frames), str(FPS)]
                    producer = fleet.start("producer", command)
                    row |= _served(fleet, producer.pid, url, viewers, span_s)
                    if python.gil is not None:
                        row["gil_held"] = None  # py-spy does not know this Python's
                show(json.dumps(row))
                rows.append(row)
                (results / "fanout.json").write_text(json.dumps(rows, indent=1) + "\n")
    return rows


def encoded(clip: Path) -> bytes:
    """The clip's first seconds as H.264, a keyframe in each second, as they travel."""
    coder = encoder(Codec.H264, fps=FPS, gop_s=1.0)
    data = b""
    with av.open(clip) as container:
        for seq, picture in enumerate(islice(container.decode(video=0), _FRAMES)):
            encoded = coder.encode(picture, key=seq % int(FPS) == 0)
            about = header(seq, Codec.H264, (picture.width, picture.height), key=encoded.key, fps=FPS)
            data += frame_message(EncodedFrame(about, encoded.body))
    return data


def _served(fleet: Fleet, producer: int, url: str, viewers: int, span_s: float) -> dict[str, Any]:
    port = int(url.rpartition(":")[2])
    wait_for(f"port {port}", lambda: not is_free(port), fleet, _START_S)
    drain = subprocess.Popen(
        [sys.executable, "-m", "scripts.measure.drain", url, str(viewers), str(span_s)],
        cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, text=True,
    )  # fmt: skip
    time.sleep(_SETTLE_S)
    before, began_s = counters.cpu_clock_s(producer) or 0.0, time.monotonic()
    switched = sum(counters.context_switches([producer]))
    time.sleep(span_s / 2)
    took_s = time.monotonic() - began_s
    cores = ((counters.cpu_clock_s(producer) or 0.0) - before) / took_s
    switches = (sum(counters.context_switches([producer])) - switched) / took_s
    assert drain.stdout is not None
    output = drain.stdout.readline()
    # After its window, since being looked at slows the producer down.
    held = _held(producer, fleet.logs, span_s / 4)
    drain.terminate()
    drain.communicate()
    fleet.check()
    if not output:
        raise RunFailed(f"drain printed nothing; {fleet.log('producer')}")
    figures = {name: round(value, 2) for name, value in json.loads(output).items()}
    return {
        "producer_cores": round(cores, 3),
        "switches_per_s": round(switches),
        "gil_held": held,
        **figures,
    }


def _held(pid: int, folder: Path, span_s: float) -> dict[str, float] | None:
    """Shares of the time in which a thread holds the GIL, by kind of thread (py-spy --gil)."""
    tool = shutil.which("py-spy", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if tool is None:
        return None
    raw = folder / "gil.txt"
    subprocess.run(
        [
            tool, "record", "--gil", "--threads", "--nonblocking", "--rate", str(_PROFILE_HZ),
            "--duration", str(max(1, round(span_s))), "--format", "raw", "--output", str(raw),
            "--pid", str(pid),
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return None if not raw.exists() else shares(raw.read_text(), max(1, round(span_s)) * _PROFILE_HZ)


def shares(stacks: str, asked: int) -> dict[str, float]:
    """Of py-spy's collapsed stacks: for each kind of thread, in how many of the samples it held the GIL."""
    held = Counter[str]()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        kind = "sender" if "_send_all" in stack else "publishing" if "main (" in stack else "others"
        kind = "loop" if "_turn (" in stack else kind
        held[kind] += int(count)
    found = {kind: round(count / asked, 3) for kind, count in held.most_common()}
    return {"all": round(held.total() / asked, 3), **found}
