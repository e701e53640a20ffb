#!/usr/bin/env python3
"""Measure whole processes. Prints figures beside what they must be; raw data go to a results folder."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # A script sees its own folder, not the checkout.

from fanlight.common.model.errors import FanlightError  # noqa: E402
from fanlight.common.model.units import SIZE  # noqa: E402
from scripts.lib import apt, broker_docker  # noqa: E402
from scripts.measure import (  # noqa: E402
    broker_count,
    capture,
    clip,
    comparison,
    detected,
    drops,
    fanout,
    joins,
    machine,
    metadata,
    plots,
    pools,
    report,
    single,
    viewers,
    web,
    web_browser,
)
from scripts.measure.goals import Score, to_csv  # noqa: E402
from scripts.measure.processes import RunFailed  # noqa: E402
from scripts.measure.runs import SETTLE_S, Bench  # noqa: E402
from scripts.measure.study import Study  # noqa: E402
from scripts.private_node import PrivateNode  # noqa: E402

_COUNTED = "private node, all its processes (/proc)"
RESULTS = Path(sys.path[0]) / "results"
_GSTREAMER = ("tools", "plugins-base", "plugins-good", "plugins-bad", "plugins-ugly", "libav")


def main(argv: list[str] | None = None) -> int:
    """Run one benchmark; 0 if it could be run, and `viewers` reached every goal, else 1."""
    arguments = _parser().parse_args(argv)
    for size in getattr(arguments, "sizes", None) or ():
        try:
            SIZE.read(size)
        except ValueError as error:
            print(f"bench: --sizes {size!r} cannot be used: allowed is {error}")
            return 2
    unknown = set(getattr(arguments, "cases", ())) - set(viewers.CASES)
    if unknown:
        print(f"bench: no case {', '.join(sorted(unknown))}: there are {', '.join(viewers.CASES)}")
        return 2
    results = arguments.results or RESULTS / time.strftime(f"%Y%m%d-%H%M%S-{arguments.what}")
    results.mkdir(parents=True, exist_ok=True)
    with PrivateNode() as node:
        erlang = node.ctl("eval", "erlang:system_info(otp_release).").strip().strip('"')
        described = machine.describe(node.ctl("version").strip(), erlang)
        (results / "machine.json").write_text(json.dumps(described, indent=2) + "\n")
        print(json.dumps(described, indent=2), flush=True)
        if arguments.what == "single":
            return _single(arguments, node, results)
        if arguments.what in _MORE:
            return _MORE[arguments.what](arguments, node, results)
        return _viewers(arguments, node, results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--results", type=Path, help="folder for raw data (default: results/DATE-NAME)")
    ways = parser.add_subparsers(dest="what", required=True)
    one = ways.add_parser("single", help="one producer, one consumer: latency, start-up, joins, memory")
    one.add_argument("--minutes", type=float, default=1.0, help="of the steady run (default: 1)")
    one.add_argument("--repeats", type=int, default=5, help="of the start-up runs (default: 5)")
    _add_designs(ways)
    _add_fanout(ways)
    pages = ways.add_parser("web", help="the wall's gateway under clients that only read, and peers")
    pages.add_argument("--clients", nargs="+", type=int, default=web.CLIENTS, metavar="N")
    pages.add_argument("--seconds", type=float, default=20.0, help="of a window (default: 20)")
    pages.add_argument("--webgear", metavar="PYTHON", help="the Python of an environment with VidGear")
    page = ways.add_parser("web-browser", help="the wall's page in Chromium: age, skew, growth of memory")
    page.add_argument(
        "--seconds", type=float, default=10.0, help="that each case is measured (default: 10)"
    )
    page.add_argument("--tiles", nargs="+", type=int, default=web_browser.TILES, metavar="N")
    page.add_argument("--sizes", nargs="+", default=web_browser.SIZES, metavar="SIZE")
    page.add_argument("--frames", type=int, metavar="N", help="memory while so many are shown, instead")
    told = ways.add_parser(
        "meta", help="what it costs that frames carry metadata: with and without at once"
    )
    told.add_argument("--seconds", type=float, default=20.0, help="of a window (default: 20)")
    told.add_argument("--repeats", type=int, default=3, help="of every case (default: 3)")
    found = ways.add_parser(
        "results", help="what results of a detector cost per frame: with and without at once"
    )
    found.add_argument("--seconds", type=float, default=20.0, help="of a window (default: 20)")
    found.add_argument("--repeats", type=int, default=3, help="of every case (default: 3)")
    shared = ways.add_parser("pool", help="frames that a pool of slow workers processes, and their age")
    shared.add_argument("--repeats", type=int, default=1, help="of every case (default: 1)")
    shared.add_argument("--seconds", type=float, default=10.0, help="of a window (default: 10)")
    slow = ways.add_parser(
        "capture", help="a slow program: the age of its frames by cv2.VideoCapture and by ours, at once"
    )
    slow.add_argument("--seconds", type=float, default=30.0, help="of a run (default: 30)")
    slow.add_argument("--repeats", type=int, default=3, help="of the run (default: 3)")
    periodic = ways.add_parser("drops", help="why CPU against time seems to drop periodically")
    periodic.add_argument("--seconds", type=float, default=10.0, help="of a window (default: 10)")
    many = ways.add_parser("viewers", help="twenty consumers, ours and the peers in turn")
    many.add_argument("--repeats", type=int, default=3, help="of every case (default: 3)")
    many.add_argument("--seconds", type=float, default=20.0, help="that each run is measured (default: 20)")
    many.add_argument("--viewers", type=int, default=20, help="consumers in the main cases (default: 20)")
    many.add_argument(
        "--via", choices=viewers.USUAL, default="broker", help="host: with a hub, peers beside it"
    )
    many.add_argument("--before", type=Path, metavar="DIR", help="another checkout, for the paired cases")
    many.add_argument(
        "cases", nargs="*", metavar="CASE", help=f"of {', '.join(viewers.CASES)} (default: as --via says)"
    )
    return parser


def _add_designs(ways: Any) -> None:
    study = ways.add_parser("designs", help="the study: threads, multiplexing, broker, broker with a hub")
    study.add_argument("--repeats", type=int, help="of every run (default: 3)")
    study.add_argument("--seconds", type=float, help="of a window; twice for 10 clients (default: 20)")
    study.add_argument("--quick", action="store_true", help="a first look, in two minutes")
    lists: dict[str, tuple[Any, ...]] = {
        "designs": comparison.NAMES,
        "clients": comparison.CLIENTS,
        "sizes": comparison.SIZES,
        "codecs": comparison.CODECS,
    }
    for name, values in lists.items():
        study.add_argument(
            f"--{name}", nargs="+", type=type(values[0]), metavar="X",
            choices=values if name in ("designs", "codecs") else None,
            help=f"default: {' '.join(map(str, values))}",
        )  # fmt: skip


def _add_fanout(ways: Any) -> None:
    light = ways.add_parser("fanout", help="the two designs without a broker under clients that only read")
    light.add_argument("--clients", nargs="+", type=int, default=fanout.CLIENTS, metavar="N")
    light.add_argument("--seconds", type=float, default=10.0, help="of a window (default: 10)")
    light.add_argument("--python", metavar="PATH", help="another Python that runs the producer as well")


def _designs(arguments: argparse.Namespace, node: PrivateNode, results: Path) -> int:
    plan = (
        comparison.QUICK
        if arguments.quick
        else replace(comparison.WHOLE, traced_syscalls=_ensure("strace", "strace"))
    )
    given = {name: getattr(arguments, name) for name in ("designs", "clients", "sizes", "codecs")}
    given |= {"seconds": arguments.seconds, "repeats": arguments.repeats}
    plan = replace(plan, **{name: value for name, value in given.items() if value is not None})
    longest_s = 2 * plan.seconds + 90
    clips: dict[str, Path] = {}

    def footage(size: str) -> Path:
        if size not in clips:
            clips[size] = clip.repeated(results / f"clip-{size}.mp4", longest_s, SIZE.read(size))
        return clips[size]

    show = partial(print, flush=True)
    bench = Bench(node, results, plan.seconds, 1.0 if arguments.quick else SETTLE_S)
    study = comparison.Comparison(plan, bench, footage, _COUNTED, show)
    agree = ended = False
    try:
        if not arguments.quick:
            first = plan.sizes[0]
            joins.run(results, footage(first), node.url, names=plan.designs, size=first, show=show)
        agree = arguments.quick or "broker" not in plan.designs or broker_docker.missing() is not None
        if not agree:
            agree = broker_count.check(results, footage(plan.sizes[0]), plan.sizes[0], plan.seconds, show)
        study.run()
        ended = True
    except KeyboardInterrupt:
        show("interrupted: what is done is kept")
    except (RunFailed, FanlightError, OSError) as error:
        show(f"ended early: {error}")
    try:
        print(report.write(results))
    except FileNotFoundError as error:
        show(str(error))
    return 0 if ended and agree and not study.failed else 1


def _web(arguments: argparse.Namespace, node: PrivateNode, results: Path) -> int:
    footage = clip.repeated(results / "clip.mp4", arguments.seconds + 40)
    plan = web.Plan(arguments.clients, arguments.seconds, arguments.webgear)
    bench = web.Web(plan, results, footage, node.url, partial(print, flush=True))
    with contextlib.suppress(KeyboardInterrupt):  # What is done is kept.
        bench.run()
    table = bench.score.table()
    (results / "summary.md").write_text(table + "\n")
    print(table)
    return 1 if bench.score.missed() else 0


def _drops(arguments: argparse.Namespace, node: PrivateNode, results: Path) -> int:
    footage = clip.repeated(results / "clip.mp4", arguments.seconds + 90, (640, 480))
    drops.run(
        Bench(node, results, arguments.seconds), footage, arguments.seconds, partial(print, flush=True)
    )
    return 0


def _write_summary(results: Path, rows: list[Any], score: Score) -> int:
    to_csv(results / "runs.csv", rows)
    (results / "summary.md").write_text(score.table() + "\n")
    print(score.table())
    return 1 if score.missed() else 0


def _repeated(
    run: Callable[..., list[Any]], arguments: argparse.Namespace, node: PrivateNode, results: Path
) -> int:
    score = Score()
    rows: list[Any] = []
    for number in range(1, arguments.repeats + 1):
        folder = results / f"run-{number}"
        rows += run(folder, node.url, arguments.seconds, score, partial(print, flush=True))
    return _write_summary(results, rows, score)


def _pool(arguments: argparse.Namespace, node: PrivateNode, results: Path) -> int:
    footage = clip.repeated(results / "clip.mp4", 2 * pools.lasts_s(arguments.seconds))
    return _repeated(partial(pools.run, footage), arguments, node, results)


def _fanout(arguments: argparse.Namespace, _node: PrivateNode, results: Path) -> int:
    fanout.run(
        results,
        clip.repeated(results / "clip.mp4", 15, (640, 480)),
        clients=arguments.clients,
        span_s=arguments.seconds,
        other=arguments.python,
        show=partial(print, flush=True),
    )
    return 0


def _web_browser(arguments: argparse.Namespace, node: PrivateNode, results: Path) -> int:
    show = partial(print, flush=True)
    if arguments.frames is not None:
        to_csv(
            results / "growth.csv",
            web_browser.run_growth(results, node.url, frames=arguments.frames, show=show),
        )
        return 0
    score = Score()
    rows = web_browser.run(
        results,
        node.url,
        lambda size: clip.repeated(results / f"clip-{size}.mp4", 15, SIZE.read(size)),
        seconds=arguments.seconds,
        score=score,
        show=show,
        sizes=arguments.sizes,
        tiles=arguments.tiles,
    )
    return _write_summary(results, rows, score)


_MORE: dict[str, Callable[[argparse.Namespace, PrivateNode, Path], int]] = {
    "web": _web,
    "capture": partial(_repeated, capture.run),
    "meta": partial(_repeated, metadata.run),
    "results": partial(_repeated, detected.run),
    "pool": _pool,
    "designs": _designs,
    "drops": _drops,
    "fanout": _fanout,
    "web-browser": _web_browser,
}


def _ensure(program: str, *packages: str) -> bool:
    """Whether it is there now."""
    if shutil.which(program) is None and apt.can_install():
        print(f"installing {program} with apt-get", flush=True)
        apt.install(packages, partial(print, flush=True))
    return shutil.which(program) is not None


def _single(arguments: argparse.Namespace, node: PrivateNode, results: Path) -> int:
    arguments.url = node.url
    report = single.run(arguments, results)
    text = json.dumps(report, indent=2)
    (results / "report.json").write_text(text + "\n")
    print(text)
    return 0


def _viewers(arguments: argparse.Namespace, node: PrivateNode, results: Path) -> int:
    wanted = arguments.cases or viewers.USUAL[arguments.via]
    cases = [name for name in viewers.CASES if name in wanted]
    if "gstreamer" in cases:
        _ensure("gst-launch-1.0", *(f"gstreamer1.0-{part}" for part in _GSTREAMER))
    lasts_s = arguments.seconds + 90
    study = Study(
        bench=Bench(node, results, arguments.seconds),
        clip=clip.repeated(results / "clip.mp4", lasts_s),
        small_clip=lambda: clip.repeated(results / "clip-360p.mp4", lasts_s, (640, 360)),
        large_clip=lambda: clip.repeated(results / "clip-1080p60.mp4", lasts_s, (1920, 1080), 60),
        viewers=arguments.viewers,
        score=Score(),
        before=arguments.before,
    )
    began = time.monotonic()
    failed = False
    with contextlib.suppress(KeyboardInterrupt):  # What is done is kept.
        for repeat in range(arguments.repeats):
            for name in cases:
                took = time.monotonic() - began
                print(f"{took:6.0f} s  repeat {repeat + 1}/{arguments.repeats}  {name}", flush=True)
                try:
                    viewers.CASES[name](study)
                except RunFailed as error:
                    failed = True
                    print(f"        {name} failed: {error}", flush=True)
    to_csv(results / "runs.csv", study.rows)
    table = study.score.table()
    (results / "summary.md").write_text(table + "\n")
    plots.draw(results, study.kept)
    print(f"{table}\n\nraw data, plots and this table: {results}")
    return 1 if failed or study.score.missed() else 0


if __name__ == "__main__":
    sys.exit(main())
