"""What the study works out of counts, samples and runs: the figures that are published."""

from __future__ import annotations

from pathlib import Path

from scripts.measure import comparison, fanout, sampler, syscalls, tables, traces
from scripts.measure.sampler import Sample

MS = 1_000_000


def run(name: str, viewers: int, **figures: float) -> dict[str, object]:
    return {"size": "640x480", "codec": "h264", "viewers": viewers, "name": name, "fates": {}, **figures}


def test_fates_of_a_window_and_what_never_arrived(tmp_path: Path) -> None:
    """One client gets all of 200 frames but two, another only the first hundred, a third none."""
    header = "seq,capture_ns,received_ns,presented_ns,event"
    rows = [f"{seq},0,{100 + seq},{101 + seq},presented" for seq in range(200) if seq not in {50, 60}]
    rows[70] = rows[70].replace("presented", "late")
    clients = [tmp_path / name for name in ("all", "half", "none")]
    clients[0].write_text("\n".join([header, "900,0,99,100,presented", *rows, "901,0,300,,late", "902,0"]))
    clients[1].write_text("\n".join([header, *rows[:100]]))
    clients[2].write_text(header)
    found = traces.fates(clients, 100, 300)
    assert (found["presented"], found["late"]) == (197 + 99, 2)
    # Of the 140 frames that are not at the edges of the window the second client has 30 to 101, but two.
    assert found["missing"] == 2 + (140 - 70) + 140


def test_samples_are_read_back(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    kept = [
        Sample(0.1, {"a": 0.5}, {"a": 10.0}, {"a": 12.0}),
        Sample(0.2, {"a": 0.25}, {"a": 11.0}, {"a": 12.0}),
    ]
    sampler.write(tmp_path / "r" / "samples.csv", kept)
    found = tables.samples(tmp_path, {"folder": "r"})
    assert found["a"] == {
        "at_s": [0.1, 0.2],
        "cores": [0.5, 0.25],
        "pss_mib": [10, 11],
        "rss_mib": [12, 12],
    }


def test_a_table_of_strace_is_read() -> None:
    table = """% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000600           6       100           sendto
 40.00    0.000400           2       200        10 futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.001000           3       300        10 total
"""
    assert syscalls.read(table, 2.0) == {"futex": 100.0, "sendto": 50.0}
    assert list(syscalls.read(table, 2.0)) == ["futex", "sendto"]


def test_shares_of_the_gil() -> None:
    stacks = (
        "thread (1);_run (sender.py:9);_send_all (sender.py:10) 30\n"
        "thread (2);_run (door.py:1);_turn (door.py:2) 5\nmain;main (feed.py:3) 10\nother 5\n"
    )
    assert fanout.shares(stacks, 500) == {
        "all": 0.1, "sender": 0.06, "publishing": 0.02, "loop": 0.01, "others": 0.01,
    }  # fmt: skip


def test_checks_are_medians_against_the_threads_from_ten_clients_on() -> None:
    figures = {"fps_worst": 30.0, "skew_p50_ms": 5.0, "skew_p99_ms": 9.0, "age_p50_worst_client_ms": 7.0}
    runs = [
        run("threads", 5, cores_total=1.0, age_p99_worst_client_ms=20.0, **figures),
        run("broker", 5, cores_total=9.0, age_p99_worst_client_ms=20.0, **figures),
        run("threads", 10, cores_total=1.0, age_p99_worst_client_ms=20.0, **figures),
        *(
            run("broker", 10, cores_total=cores, age_p99_worst_client_ms=21.0, **figures)
            for cores in (1.0, 1.04, 9.0)
        ),
        run("hub", 10, cores_total=0.51, age_p99_worst_client_ms=8.0, **figures),
    ]
    found = {check.what: (round(check.value, 3), check.reached) for check in tables.limit_checks(runs)}
    assert found == {
        "broker: CPU, ratio to threads": (1.04, True),
        "broker: skew p50, ms (threads')": (5.0, True),
        "broker: skew p99, ms (threads')": (9.0, True),
        "broker: latency p50 of the worst client, ms (threads')": (7.0, True),
        "broker: latency p99 of the worst client, ms (threads')": (21.0, False),
        "hub: CPU, ratio to threads": (0.51, False),
    }


def test_a_design_that_shows_fewer_frames_reaches_no_limit() -> None:
    figures = dict.fromkeys(("skew_p50_ms", "skew_p99_ms"), 5.0)
    figures |= dict.fromkeys(("age_p50_worst_client_ms", "age_p99_worst_client_ms"), 9.0)
    runs = [
        run("threads", 10, cores_total=1.9, fps_worst=30.0, **figures),
        run("broker", 10, cores_total=0.4, fps_worst=3.0, **figures),
        run("hub", 10, cores_total=0.4, fps_worst=29.6, **figures),
    ]
    assert [check.reached for check in tables.limit_checks(runs)] == [False] * 5 + [True]


def test_every_design_meets_every_load_once_in_each_repeat() -> None:
    planned = comparison.cells(comparison.WHOLE)
    assert len(planned) == len(set(planned)) == 3 * 2 * 2 * 5 * 4
    # Side by side, so that a drift of the machine meets all of them alike.
    assert [cell.name for cell in planned[:4]] == list(comparison.NAMES)
    assert {cell.repeat for cell in planned[: len(planned) // 3]} == {0}
