"""A hub decodes once for its host: real processes, a real broker or none, the real /dev/shm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fanlight.common.model.errors import FrameExpired
from fanlight.common.model.pixels import PictureFormat, PixelFormat
from fanlight.common.shm.names import FOLDER
from fanlight.common.shm.private_folder import SHARED_MEMORY, ring_folder
from fanlight.consumer import Consumer
from tests.support.broker import tcp_url, with_broker_and
from tests.support.hubs import comes_by, files_of, hub
from tests.support.marked_stream import Marking, Watcher, marked
from tests.support.timing import scaled, wait_until
from tests.support.users import NOBODY


def check(watcher: Watcher) -> None:
    """Nothing old, nothing out of order, no wrong pixel, and its own connection was kept all the time."""
    assert not watcher.faults()
    assert watcher.consumer.stats().reconnects == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL, signal.SIGSTOP])
def test_a_hub_is_used_while_it_works_and_left_when_it_does_not(
    url: str, stream: str, how: signal.Signals
) -> None:
    with (
        Marking(url, stream),
        Watcher(Consumer(stream=stream, name="w", url=url)) as watcher,
    ):
        comes_by(watcher, shared=False)
        for _ in range(2):  # the second one tidies up after the first
            with hub(url, stream) as command:
                comes_by(watcher, shared=True)
                files = files_of(stream)
                assert len(files) == 2, "one segment, one lock"
                assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
                assert ring_folder().stat().st_mode & 0o777 == 0o700
                command.signal(how)
                comes_by(watcher, shared=False)
                if how is signal.SIGSTOP:
                    command.signal(signal.SIGCONT)
                    comes_by(watcher, shared=True)
                    command.signal(signal.SIGTERM)
                    comes_by(watcher, shared=False)  # the next wait begins after this hub's last frame
                if how is not signal.SIGKILL:
                    assert command.wait() == 0
            assert bool(files_of(stream)) is (how is signal.SIGKILL), "an orderly end leaves nothing"
    check(watcher)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_second_hub_stands_by_and_takes_over(url: str, stream: str, how: signal.Signals) -> None:
    with (
        Marking(url, stream),
        Watcher(Consumer(stream=stream, name="w", url=url)) as watcher,
        hub(url, stream) as first,
    ):
        comes_by(watcher, shared=True)
        with hub(url, stream, name="hub2") as second:
            second.wait_line("standing by")
            first.signal(how)
            second.wait_line("taking over")
            comes_by(watcher, shared=True)
            second.signal(signal.SIGINT)
            assert second.wait() == 0
    assert not files_of(stream)
    check(watcher)


@with_broker_and("threads")
def test_with_h264_changes_of_way_show_nothing_old_or_out_of_order(url: str, stream: str) -> None:
    with (
        Marking(url, stream, codec="h264", size=(128, 96)),
        Watcher(Consumer(stream=stream, name="w", url=url), exact=False) as watcher,
    ):
        comes_by(watcher, shared=False)
        for how in (signal.SIGINT, signal.SIGKILL, signal.SIGSEGV):
            with hub(url, stream) as command:
                comes_by(watcher, shared=True)
                command.signal(how)
                comes_by(watcher, shared=False)
    check(watcher)


@with_broker_and("threads")
def test_a_change_of_size_and_a_new_producer_pass_through_a_hub(url: str, stream: str) -> None:
    with (
        Watcher(Consumer(stream=stream, name="w", url=url)) as watcher,
        hub(url, stream),
    ):
        with Marking(url, stream) as marking:
            comes_by(watcher, shared=True)
            marking.size = (96, 64)
            wait_until(lambda: watcher.last and watcher.last.shape == (64, 96, 3), 20)
            comes_by(watcher, shared=True)
            assert len(files_of(stream)) == 2, "the segment of the old size is gone"
        with Marking(url, stream):
            wait_until(lambda: len({seen.epoch for seen in watcher.seen}) == 2, 15)
            comes_by(watcher, shared=True)
    assert not watcher.faults()


def test_synchronised_playout_works_with_shared_pictures(broker_url: str, stream: str) -> None:
    consumer = Consumer(stream=stream, name="w", url=broker_url, playout="sync", delay_s=0.15)
    with Marking(broker_url, stream), hub(broker_url, stream), Watcher(consumer) as watcher:
        comes_by(watcher, shared=True)
        count = len(watcher.seen)
        wait_until(lambda: len(watcher.seen) > count + 20, 20)
        assert all(seen.age_s >= 0.149 for seen in watcher.seen)
    assert not watcher.faults()


PICTURE_FORMATS = [
    (PictureFormat(PixelFormat.GREY, (32, 24)), (24, 32)),
    (PictureFormat(PixelFormat.I420, (32, 24)), (36, 32)),
    (PictureFormat(PixelFormat.BGR, (32, 24)), (24, 32, 3)),
]


@pytest.mark.parametrize("way", ["broker", "host"])
@pytest.mark.parametrize(("picture_format", "shape"), PICTURE_FORMATS)
def test_pictures_have_the_form_that_was_asked_for_by_either_way(
    broker_url: str, stream: str, way: str, picture_format: PictureFormat, shape: tuple[int, ...]
) -> None:
    pixel_format, size = picture_format
    assert size is not None
    consumer = Consumer(stream=stream, name="w", url=broker_url, via=way, format=pixel_format, size=size)
    options = ("--share-format", pixel_format, "--share-size", f"{size[0]}x{size[1]}")
    with (
        Marking(broker_url, stream),
        hub(broker_url, stream, *options),
        Watcher(consumer, exact=False) as watcher,
    ):
        comes_by(watcher, shared=way == "host")
    assert {seen.shape for seen in watcher.seen} == {shape}
    assert not watcher.faults()


@with_broker_and("multiplex")
def test_a_program_can_be_the_hub(url: str, stream: str) -> None:
    sharing = Consumer(stream=stream, name="hub", url=url, share=True)
    with (
        Marking(url, stream),
        Watcher(sharing) as hub_watcher,
        Watcher(Consumer(stream=stream, name="w", url=url)) as watcher,
    ):
        comes_by(watcher, shared=True)
        hub_watcher.wait_flow()
    assert not any(seen.shared for seen in hub_watcher.seen)
    assert not files_of(stream)
    assert not watcher.faults()


def test_who_holds_a_picture_for_too_long_is_told(broker_url: str, stream: str) -> None:
    with (
        Marking(broker_url, stream),
        # Long enough for a busy machine to look at a picture, and to copy it.
        hub(broker_url, stream, "--max-age", "2s"),
        Consumer(stream=stream, name="w", url=broker_url, via="host", zero_copy=True) as consumer,
    ):
        frame = consumer.read(scaled(15))
        assert frame is not None
        assert frame.valid
        kept = frame.copy()
        with pytest.raises(ValueError, match="read-only"):
            frame.image[0] = 0
        wait_until(lambda: not frame.valid, 20)
        with pytest.raises(FrameExpired, match="copy it at once"):
            frame.copy()
        assert np.array_equal(kept.image, marked(kept.capture_ns, 64, 48))
        assert kept.valid
        kept.image[0] = 0  # its own
        assert consumer.read(scaled(5)) is not None
        assert consumer.stats().expired == 1


def run_hub_and_viewer(
    url: str, stream: str, prepare: str, way: str, *, hub_says: str = ""
) -> subprocess.CompletedProcess[str]:
    """Both as commands, with the shared memory of a container, which is prepared by shell commands.

    Args:
        hub_says: the viewer begins once this was logged.
    """
    if os.geteuid() != 0:
        pytest.skip("only root may have a shared memory of his own")
    arguments = f"--url {url} --stream {stream}"
    script = (
        f"mount -t tmpfs -o size=64k tmpfs /dev/shm && {prepare} && "
        f"{{ said=$(mktemp); python -m consumer --name hub --sink share {arguments} 2>$said & hub=$!; "
        f"until grep -q '{hub_says}' $said; do kill -0 $hub && sleep 0.1 || break; done; "
        f"timeout {scaled(60):g} python -m consumer --name w --via {way} --frames 20 --sink null "
        f"{arguments}; seen=$?; kill $hub; wait; cat $said >&2; rm $said; ls /dev/shm; exit $seen; }}"
    )
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with Marking(url, stream):
        return subprocess.run(
            ["unshare", "--mount", "--ipc", "sh", "-c", script],
            env=environment, capture_output=True, text=True, timeout=scaled(100), check=False,
        )  # fmt: skip


def test_too_little_memory_is_one_line_and_the_broker_serves(broker_url: str, stream: str) -> None:
    done = run_hub_and_viewer(
        broker_url, stream, "echo 65536 > /proc/sys/kernel/shmmax", "auto", hub_says="kernel.shmmax"
    )
    assert done.returncode == 0, done.stderr
    complaints = [line for line in done.stderr.splitlines() if "kernel.shmmax" in line]
    assert len(complaints) == 1, done.stderr
    assert "consumers get the stream itself" in complaints[0]
    assert done.stdout == "", "nothing was left in that /dev/shm"


def test_a_small_dev_shm_is_enough(broker_url: str, stream: str) -> None:
    """A container has 64 MiB; here it is 64 KiB, less than a second of pictures."""
    done = run_hub_and_viewer(broker_url, stream, "true", "host")
    assert done.returncode == 0, done.stderr
    assert "shm" not in done.stderr, done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("take", ["touch", "mkdir -m 777", "mkdir -m 2777", "ln -s /tmp", "mkfifo"])
def test_a_name_that_another_user_has_taken_first_changes_nothing(
    broker_url: str, stream: str, take: str
) -> None:
    name = SHARED_MEMORY / f"{FOLDER}{os.geteuid()}"
    taken = f"setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups {take} {name}"
    done = run_hub_and_viewer(broker_url, stream, taken, "host")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [name.name], "the hub's own folder is gone"


@pytest.mark.brokerless
def test_the_hub_of_another_producer_of_the_same_stream_is_not_used(stream: str) -> None:
    here, there = tcp_url("multiplex"), tcp_url("threads")
    with (
        Marking(here, stream),
        Marking(there, stream) as other,
        hub(here, stream),
        Watcher(Consumer(stream=stream, name="w", url=there)) as watcher,
    ):
        wait_until(lambda: len(watcher.seen) >= 20, 15, "twenty frames")
    assert {seen.epoch for seen in watcher.seen} == {other.producer.epoch}
    assert not any(seen.shared for seen in watcher.seen)
