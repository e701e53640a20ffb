"""Random faults under load, with every frame checked: `python scripts/soak.py --minutes 30 --seed 1`.

One producer, six consumers of mixed kinds and a second stream on a private RabbitMQ node; kills, stops,
alarms, cuts, steps of the clock, full disks, and more, drawn from the seed. Exit codes: 0 no invariant was
broken, 1 one was, 2 unusable arguments. Root may cut networks and fill disks as well; without, a line lists
what is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from fanlight.common.model.errors import FanlightError
from fanlight.common.runtime.main import OneLineParser
from scripts.faults.kinds import FAULTS, Fault
from scripts.faults.report import summary, table
from scripts.faults.rig import Rig
from scripts.faults.run import Result, Run, sequence, usable
from scripts.lib import netns

_BAD_ARGUMENT = 2


def main(argv: list[str] | None = None) -> int:
    """Run the soak; returns the exit code."""
    options = _parser().parse_args(argv)
    if options.list:
        print("\n".join(fault.name for fault in FAULTS))
        return 0
    unknown = set(options.only or ()) - {fault.name for fault in FAULTS}
    if unknown:
        show(f"--only {min(unknown)!r} cannot be used: allowed is what --list names")
        return _BAD_ARGUMENT
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    faults = tuple(fault for fault in FAULTS if not options.only or fault.name in options.only)
    result = Result(options.seed, options.minutes)
    try:
        with Rig(
            options.seed, namespaces=netns.unavailable() is None, codec=options.codec, fps=options.fps
        ) as rig:
            _run(rig, result, faults, options)
    except KeyboardInterrupt:
        show("interrupted; what was started is stopped again")
        return 1
    except (FanlightError, OSError) as error:
        show(str(error))
        return 1
    print(table([result]))
    print(summary(result), flush=True)
    if options.out is not None:
        options.out.write_text(json.dumps(asdict(result)))
    return 1 if result.kinds else 0


def _parser() -> OneLineParser:
    parser = OneLineParser(prog="soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0, help="how long (default: 3)")
    parser.add_argument("--seed", type=int, default=1, help="of what happens (default: 1)")
    parser.add_argument(
        "--only", action="append", metavar="FAULT", help="this kind; may be given several times"
    )
    parser.add_argument("--cycles", type=int, help="so many rounds of each kind, in place of random ones")
    parser.add_argument(
        "--brisk", action="store_true", help="no pauses: to see what leaks over many cycles"
    )
    parser.add_argument("--fps", type=int, default=30, help="of the stream (default: 30)")
    parser.add_argument("--codec", default="h264", choices=("h264", "jpeg"))
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the figures there, as JSON")
    parser.add_argument("--verbose", action="store_true", help="a line for every fault")
    parser.add_argument("--list", action="store_true", help="the kinds of faults, and no more")
    return parser


def _run(rig: Rig, result: Result, faults: tuple[Fault, ...], options: argparse.Namespace) -> None:
    possible, result.left_out = usable(rig, faults)
    began_s = time.monotonic()
    result.broker = f"RabbitMQ {rig.node.ctl('version').strip()}"
    log = show if options.verbose else _not_shown
    scale = float(os.environ.get("FANLIGHT_TEST_TIMEOUT_SCALE", "1"))
    run = Run(rig, result, show, log, scale=scale, brisk=options.brisk)
    run.begin()
    show(f"{len(rig.members)} processes on {result.broker}; {len(possible)} kinds of faults")
    run.faults(sequence(possible, rig.rng, options.cycles), began_s + options.minutes * 60)
    run.settle()
    run.end()
    result.seconds = time.monotonic() - began_s


def _not_shown(_text: str) -> None:
    pass


def show(text: str) -> None:
    print(f"soak: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
