"""`trace:FILE`."""

from __future__ import annotations

import csv
import errno
import json
import os
from pathlib import Path

import pytest

from fanlight.common.model.errors import ConfigError, SinkError
from fanlight.consumer.sinks import trace
from fanlight.consumer.sinks.trace import HEADER, TraceSink, line
from fanlight.consumer.stats import Outcome, TraceRow

SECOND = 1_000_000_000
PRESENTED = TraceRow(3, 100, 120, 125, Outcome.PRESENTED)


def test_a_file_has_the_header_and_every_row_in_order(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("an older trace, which is replaced\n" * 100)
    sink = TraceSink(str(path))
    sink.trace(PRESENTED)
    sink.trace(TraceRow(4, 133, 150, None, Outcome.AWAITING_KEY))
    sink.trace(PRESENTED._replace(meta='{"a":"b, \\"c\\""}'))
    assert sink.tick()
    sink.close()
    assert path.read_bytes() == (
        b"seq,capture_ns,received_ns,presented_ns,event,meta\n"
        b"3,100,120,125,presented,\n"
        b"4,133,150,,awaiting_key,\n"
        b'3,100,120,125,presented,"{""a"":""b, \\""c\\""""}"\n'
    )
    with path.open(newline="") as file:
        metas = [row["meta"] for row in csv.DictReader(file)]
    assert [json.loads(meta or "{}") for meta in metas] == [{}, {}, {"a": 'b, "c"'}]


def test_lines_reach_the_file_once_a_second_not_at_once(tmp_path: Path) -> None:
    now_ns = 5_000_000_000
    path = tmp_path / "t.csv"
    sink = TraceSink(str(path), lambda: now_ns)
    sink.trace(PRESENTED)
    now_ns += 999_999_999
    sink.tick()
    assert path.read_bytes() == b""
    now_ns += 1
    sink.tick()
    assert path.read_bytes().count(b"\n") == 2
    sink.close()


def test_a_file_that_cannot_be_written_is_refused_at_open(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        TraceSink(str(tmp_path / "nope" / "t.csv"))
    assert str(refused.value) == (
        f"--sink 'trace:{tmp_path}/nope/t.csv' cannot be used: "
        "allowed is a file that can be written (No such file or directory)"
    )


def test_a_file_that_another_consumer_writes_is_refused_under_any_name(tmp_path: Path) -> None:
    path, other_name = tmp_path / "t.csv", tmp_path / "u.csv"
    first = TraceSink(str(path))
    first.trace(PRESENTED)
    other_name.hardlink_to(path)
    for name in (path, other_name):
        with pytest.raises(ConfigError, match="another consumer writes it: choose another name"):
            TraceSink(str(name))
    first.close()
    assert path.read_text() == HEADER + line(PRESENTED)
    TraceSink(str(other_name)).close()


def test_a_fifo_that_nobody_reads_is_refused_at_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(ConfigError, match="a FIFO, and nobody reads it: start its reader first"):
        TraceSink(str(tmp_path / "t.csv"))


def test_a_fifo_whose_reader_stops_reading_keeps_nobody(tmp_path: Path) -> None:
    fifo = tmp_path / "t.csv"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    now_ns = 0
    sink = TraceSink(str(fifo), lambda: now_ns)
    for number in range(20_000):
        now_ns += SECOND // 60
        sink.trace(PRESENTED._replace(seq=number))
        sink.tick()
    with pytest.raises(SinkError, match="cannot be written any further: nobody reads it"):
        sink.close()
    os.close(reading)


class Disk:
    """Takes so many bytes, and is full then."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.taken = bytearray()

    def write(self, data: bytes) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = bytes(data)[: self.room]
        self.room -= len(taken)
        self.taken += taken
        return len(taken)

    def close(self) -> None:
        pass


def test_a_full_disk_costs_rows_and_writing_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now_ns = 5_000_000_000
    sink = TraceSink(str(tmp_path / "t.csv"), lambda: now_ns)
    sink._file.close()
    disk = Disk(100)
    monkeypatch.setattr(sink, "_file", disk)
    rows = [TraceRow(seq, 100, 120, 125, Outcome.PRESENTED) for seq in range(20_000)]
    for row in rows:
        sink.trace(row)
    now_ns += 1_000_000_000
    sink.tick()
    assert len(sink._pending) < 300_000
    disk.room = 10**9
    now_ns += 999_999_999
    sink.tick()
    assert len(disk.taken) == 100
    now_ns += 1
    sink.tick()
    sink.trace(rows[0])
    sink.close()
    lines = disk.taken.decode().splitlines()
    kept = len(lines) - 2
    assert lines == [
        trace.HEADER.strip(),
        *(line(row).strip() for row in rows[:kept]),
        line(rows[0]).strip(),
    ]
    assert 9_000 < kept < 20_000
    assert caplog.messages[1] == (
        f"trace:{tmp_path / 't.csv'} can be written again, {20_000 - kept} rows are missing"
    )
