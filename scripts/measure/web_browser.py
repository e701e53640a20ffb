"""The wall's page in a real Chromium: age, skew of two pages, a slow line, growth of memory."""

from __future__ import annotations

import contextlib
import math
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
from selenium import webdriver

from scripts.lib.ports import free_ports, is_free
from scripts.measure.goals import Goal, Score
from scripts.measure.processes import Fleet, RunFailed, wait_for
from tests.support.throttle import SlowLine

SIZES: Final = ("640x360", "1280x720")
TILES: Final = (1, 4)
WAYS: Final = ("webcodecs", "mse", "mjpeg")
MAX_AGE_MS: Final = 500
_AGE_GOAL_MS: Final = 60  # of one tile of 640x360
_SKEW_GOAL_MS: Final = 10
_DELAY_MS: Final = 150
_SLOW_BITS_PER_S: Final = 1e6
_SLOW_S: Final = 20.0
_FRESH_GOAL_MS: Final = 1000
_SETTLE_S: Final = 5.0
_START_S: Final = 60.0
_WINDOW: Final = "1330,860"
_GROWTH_FPS: Final = 60
_GROWTH_TILES: Final = 4
_GROWTH_SAMPLES: Final = 10
_OPTIONS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", f"--window-size={_WINDOW}",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """What one page shows."""

    size: str
    tiles: int
    way: str

    def __str__(self) -> str:
        return f"{self.tiles} x {self.size}, {self.way}"


@contextlib.contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """A fresh profile.

    Raises:
        RunFailed: it is not installed.
    """
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    for name, path in programs.items():
        if path is None:
            raise RunFailed(f"{name} is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = str(programs["chromium"])
    with tempfile.TemporaryDirectory(prefix="fanlight-chromium-", ignore_cleanup_errors=True) as profile:
        for option in (*_OPTIONS, f"--user-data-dir={profile}"):
            options.add_argument(option)
        driver = webdriver.Chrome(
            options=options, service=webdriver.ChromeService(str(programs["chromedriver"]))
        )
        try:
            yield driver
        finally:
            driver.quit()


class Wall:
    """Producers and a wall, for one size.

    Args:
        source: what each producer plays; None for the test pattern.
    """

    def __init__(
        self, fleet: Fleet, url: str, size: str, tiles: int, *, source: Path | None = None, fps: int = 30
    ) -> None:
        self.fleet = fleet
        self.streams = [f"tile{number}" for number in range(1, tiles + 1)]
        played = () if source is None else ("--source", str(source), "--loop")
        for stream in self.streams:
            options = ("--stream", stream, "--size", size, "--fps", str(fps), *played)
            fleet.start(f"producer-{stream}", (sys.executable, "-m", "producer", "--url", url, *options))
        self.port = free_ports(1)[0]
        listen = ("--listen", f"127.0.0.1:{self.port}")
        fleet.start("wall", (sys.executable, "-m", "consumer.wall", "--url", url, *listen))
        wait_for("the wall listens", lambda: not is_free(self.port), fleet, _START_S)

    def open(self, driver: webdriver.Chrome, query: str, port: int | None = None) -> None:
        """Load the page, at another port through a proxy, and wait until every tile has pictures."""
        streams = ",".join(self.streams)
        driver.get(f"http://127.0.0.1:{port or self.port}/?streams={streams}&{query}")
        script = (
            "return window.fanlight !== undefined && arguments[0].every("
            "  (stream) => fanlight.tiles.get(stream)?.stats.shown > 0)"
        )
        shown = lambda: bool(driver.execute_script(script, self.streams))  # noqa: E731
        wait_for(f"pictures at {query}", shown, self.fleet, _START_S)


def tiles_of(driver: webdriver.Chrome) -> list[dict[str, Any]]:
    """The statistics of all tiles, with what they have drawn."""
    return list(driver.execute_script("return [...fanlight.tiles.values()].map((tile) => tile.stats)"))


def measure_ages(
    driver: webdriver.Chrome, wall: Wall, case: Case, *, seconds: float, score: Score
) -> dict[str, object]:
    """The age of each drawn picture over so long, the time that drawing took added."""
    wall.open(driver, f"via={case.way}")
    time.sleep(_SETTLE_S)
    began_ms = time.time() * 1000
    before = tiles_of(driver)
    cpu_before_s = browser_cpu_s(driver)
    time.sleep(seconds)
    cores = (browser_cpu_s(driver) - cpu_before_s) / seconds
    after = tiles_of(driver)
    drawn = [each for tile in after for each in tile["history"] if each["shownMs"] > began_ms]
    if not drawn:
        raise RunFailed(f"{case}: nothing was drawn")
    cost_ms = statistics.median(tile["drawMs"] for tile in after)
    ages = sorted(each["ageMs"] + cost_ms for each in drawn)
    fps = sum(b["shown"] - a["shown"] for a, b in zip(before, after, strict=True)) / case.tiles / seconds
    dropped = sum(sum(tile["dropped"].values()) for tile in after)
    row = {
        "case": str(case),
        "age_p50_ms": statistics.median(ages),
        "age_p95_ms": ages[int(len(ages) * 0.95)],
        "age_max_ms": max(each["ageMs"] for each in drawn),
        "draw_ms": cost_ms,
        "fps": fps,
        "dropped": dropped,
        "chromium_cores": cores,
    }
    single = case.tiles == 1 and case.size == SIZES[0] and case.way == WAYS[0]
    score.add(Goal(str(case), "age p50", "ms", _AGE_GOAL_MS if single else None), float(row["age_p50_ms"]))
    score.add(Goal(str(case), "age max at drawing", "ms", MAX_AGE_MS), float(row["age_max_ms"]))
    score.add(Goal(str(case), "pictures per second and tile", ""), fps)
    score.add(Goal(str(case), "Chromium, all its processes", "cores"), cores)
    return row


def measure_skew(driver: webdriver.Chrome, wall: Wall, *, seconds: float, score: Score) -> None:
    """Two windows with `playout=sync`: how far apart they draw the same frame."""
    query = f"playout=sync&delay={_DELAY_MS}"
    first = driver.current_window_handle
    wall.open(driver, query)
    driver.switch_to.new_window("window")
    try:
        wall.open(driver, query)
        time.sleep(seconds)
        ours = {each["seq"]: each["shownMs"] for each in tiles_of(driver)[0]["history"]}
    finally:
        driver.close()
        driver.switch_to.window(first)
    theirs = {each["seq"]: each["shownMs"] for each in tiles_of(driver)[0]["history"]}
    apart = sorted(abs(ours[seq] - theirs[seq]) for seq in ours.keys() & theirs.keys())
    if not apart:
        raise RunFailed("two pages in step: they drew no common frame")
    case = f"two pages, sync, delay {_DELAY_MS} ms"
    score.add(Goal(case, "skew p50", "ms", _SKEW_GOAL_MS), statistics.median(apart))
    score.add(Goal(case, "skew p95", "ms"), apart[int(len(apart) * 0.95)])


def measure_slow_line(driver: webdriver.Chrome, wall: Wall, way: str, score: Score) -> None:
    """A line that is too slow for a while, and then is not."""
    with SlowLine(wall.port) as line:
        wall.open(driver, f"via={way}", line.port)
        time.sleep(_SETTLE_S)
        began_ms = time.time() * 1000
        line.bits_per_s = _SLOW_BITS_PER_S
        time.sleep(_SLOW_S)
        line.bits_per_s = 0
        ended_ms = time.time() * 1000
        time.sleep(_SETTLE_S)
        drawn = tiles_of(driver)[0]["history"]
    slow = [each["ageMs"] for each in drawn if began_ms < each["shownMs"] < ended_ms]
    after_ms = [each["shownMs"] - ended_ms for each in drawn if each["captureUs"] / 1000 > ended_ms]
    case = f"{_SLOW_BITS_PER_S / 1e6:g} Mbit/s for {_SLOW_S:g} s, {way}"
    score.add(Goal(case, "age max at drawing", "ms", MAX_AGE_MS), max(each["ageMs"] for each in drawn))
    score.add(Goal(case, "fresh after", "ms", _FRESH_GOAL_MS), min(after_ms, default=math.inf))
    score.add(Goal(case, "pictures per second on the slow line", ""), len(slow) / _SLOW_S)


def measure_growth(
    driver: webdriver.Chrome, wall: Wall, *, frames: int, show: Callable[[str], None]
) -> list[dict[str, float]]:
    """Memory of the browser while so many frames go through one page, all tiles together."""
    wall.open(driver, "")
    samples: list[dict[str, float]] = []
    total = "return [...fanlight.tiles.values()].reduce((sum, tile) => sum + tile.stats.shown, 0)"
    for step in range(_GROWTH_SAMPLES + 1):
        while (shown := int(driver.execute_script(total))) < step * frames / _GROWTH_SAMPLES:
            wall.fleet.check()
            time.sleep(1)
        driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        heap = driver.execute_script("return performance.memory.usedJSHeapSize")
        samples.append({"frames": shown, "pss_mib": browser_pss_mib(driver), "js_heap_mib": heap / 2**20})
        show("  ".join(f"{name} {value:.1f}" for name, value in samples[-1].items()))
    return samples


def run(
    results: Path,
    url: str,
    footage: Callable[[str], Path],
    *,
    seconds: float,
    score: Score,
    show: Callable[[str], None],
    sizes: Sequence[str] = SIZES,
    tiles: Sequence[int] = TILES,
) -> list[dict[str, object]]:
    """All sizes, numbers of tiles and ways, two pages in step, a slow line; one Chromium for each wall."""
    rows = []
    for size in sizes:
        for count in tiles:
            with Fleet(results / f"{size}-{count}") as fleet, chromium() as driver:
                wall = Wall(fleet, url, size, count, source=footage(size))
                for way in WAYS:
                    row = measure_ages(driver, wall, Case(size, count, way), seconds=seconds, score=score)
                    rows.append(row)
                    show(
                        "  ".join(
                            f"{k} {v:.1f}" if isinstance(v, float) else f"{v}" for k, v in row.items()
                        )
                    )
                if count == 1 and size == sizes[0]:
                    measure_skew(driver, wall, seconds=seconds, score=score)
                    for way in WAYS:
                        measure_slow_line(driver, wall, way, score)
    return rows


def run_growth(
    results: Path, url: str, *, frames: int, show: Callable[[str], None]
) -> list[dict[str, float]]:
    """See `measure_growth`."""
    with Fleet(results / "growth") as fleet, chromium() as driver:
        wall = Wall(fleet, url, "320x180", _GROWTH_TILES, fps=_GROWTH_FPS)
        return measure_growth(driver, wall, frames=frames, show=show)


def browser_cpu_s(driver: webdriver.Chrome) -> float:
    """CPU time of all processes of the browser so far."""
    return sum(_each(driver, lambda process: sum(process.cpu_times()[:2])))


def browser_pss_mib(driver: webdriver.Chrome) -> float:
    """Memory of all processes of the browser."""
    return sum(_each(driver, lambda process: float(process.memory_full_info().pss))) / 2**20


def _each(driver: webdriver.Chrome, figure: Callable[[psutil.Process], float]) -> Iterator[float]:
    for process in psutil.Process(driver.service.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            yield figure(process)
