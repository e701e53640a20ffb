from __future__ import annotations

from typing import Any

import pytest

from fanlight.common.model.errors import ConfigError
from fanlight.common.model.pixels import FULL_BGR, PictureFormat, PixelFormat
from fanlight.common.runtime.options import options_of
from fanlight.common.shm import private_folder
from fanlight.consumer.settings import ConsumerSettings, PlayoutMode, Via
from fanlight.consumer.sink_spec import SinkSpec

WINDOW, NULL, SHARE = (SinkSpec(kind) for kind in ("window", "null", "share"))
SNAPSHOT, RECORD = SinkSpec("snapshot", "a.jpg"), SinkSpec("record", "a.mkv")


def test_every_setting_can_be_given_by_variable() -> None:
    environment = {
        "FANLIGHT_NAME": "wall", "FANLIGHT_STREAM": "left", "FANLIGHT_PLAYOUT": "sync",
        "FANLIGHT_DELAY": "100ms", "FANLIGHT_MAX_AGE": "250ms", "FANLIGHT_SINK": "null,share",
        "FANLIGHT_WORK": "5ms", "FANLIGHT_DURATION": "1m", "FANLIGHT_FRAMES": "9",
        "FANLIGHT_VIA": "broker", "FANLIGHT_FORMAT": "gray", "FANLIGHT_SIZE": "640x360",
        "FANLIGHT_SHARE_FORMAT": "i420", "FANLIGHT_SHARE_SIZE": "320x240",
        "FANLIGHT_URL": "amqp://ann:pw@host/video", "FANLIGHT_TRUST": "camera, studio",
        "FANLIGHT_MAX_PIXELS": "1920x1080", "FANLIGHT_MAX_BODY": "4MB",
        "FANLIGHT_RESULTS": "faces, cars", "FANLIGHT_WAIT": "0",
        "FANLIGHT_LIST": "1", "FANLIGHT_JSON": "yes", "FANLIGHT_UNTIL_END": "1",
        "FANLIGHT_WEB_TOKEN_FILE": "token", "FANLIGHT_WEB_CERT": "cert.pem", "FANLIGHT_WEB_KEY": "key.pem",
        "FANLIGHT_WEB_HOST": "wall.lan,wall", "FANLIGHT_WEB_TOKEN": "0123456789abcdef",
    }  # fmt: skip
    assert {each.variable for each in options_of(ConsumerSettings)} == {*environment, "FANLIGHT_POOL"}
    assert ConsumerSettings.load({}, {"FANLIGHT_POOL": "workers"}).pool == "workers"
    settings = ConsumerSettings.load({}, environment)
    assert (settings.name, settings.stream, settings.playout) == ("wall", "left", PlayoutMode.SYNC)
    assert (settings.delay_s, settings.max_age_s, settings.work_s) == (0.1, 0.25, 0.005)
    assert (settings.duration_s, settings.frames, len(settings.sinks)) == (60, 9, 2)
    assert (settings.via, settings.format, settings.size) == (Via.BROKER, PixelFormat.GREY, (640, 360))
    assert (settings.share_format, settings.share_size) == (PixelFormat.I420, (320, 240))
    assert (settings.max_pixels, settings.max_body_bytes) == (1920 * 1080, 4_000_000)
    assert str(settings.address) == "amqp://ann@host:5672/video"
    assert settings.trust == ("camera", "studio")
    assert (settings.results, settings.wait_s) == (("faces", "cars"), 0)
    assert (settings.list_streams, settings.json, settings.until_end) == (True, True, True)
    assert (settings.web_token_file, settings.web_cert, settings.web_key) == (
        "token",
        "cert.pem",
        "key.pem",
    )
    assert (settings.web_hosts, settings.web_token) == (("wall.lan", "wall"), "0123456789abcdef")


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"max_age_s": 0.0}, "--max-age"),
        ({"max_age_s": 3601.0}, "--max-age"),
        ({"delay_s": -0.1}, "--delay"),
        ({"delay_s": float("nan")}, "--delay"),
        ({"stream": "a.b"}, "--stream"),
        ({"name": "a b"}, "--name"),
        ({"url": "http://x"}, "--url"),
        ({"trust": ("camera",), "url": "tcp+threads://x:1"}, "--trust"),
    ],
)
def test_the_api_refuses_what_the_command_line_refuses(wrong: dict[str, Any], names: str) -> None:
    with pytest.raises(ConfigError) as refused:
        ConsumerSettings(**wrong)
    assert refused.value.name == names


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (
            {"via": Via.HOST, "sinks": (NULL, RECORD)},
            "--via 'host' cannot be used: record needs the stream: allowed is auto or broker",
        ),
        (
            {"sinks": (NULL, SinkSpec("trace", "a.csv"), SinkSpec("trace", "x/../a.csv"))},
            "--sink 'trace:x/../a.csv' cannot be used: another --sink has the same output",
        ),
        (
            {"sinks": (SinkSpec("trace", "a.jpg"), SinkSpec("snapshot", "./a.jpg"))},
            "--sink 'snapshot:./a.jpg' cannot be used: another --sink has the same output",
        ),
        *(
            (
                {"sinks": (other, SinkSpec("pipe", "-.ts"))},
                "--sink 'pipe:-.ts' cannot be used: another --sink has the same output",
            )
            for other in (SinkSpec("status"), SinkSpec("pipe", "-"))
        ),
        *(
            (
                {"sinks": (spec, spec)},
                f"--sink '{spec}' cannot be used: another --sink has the same output",
            )
            for spec in (RECORD, SNAPSHOT, SHARE, WINDOW)
        ),
        (
            {"playout": PlayoutMode.SYNC, "delay_s": 0.5},
            "--delay '500ms' cannot be used: allowed is less than --max-age, which is 500ms",
        ),
        (
            {"results": "faces,cars", "url": "tcp+threads://x:1"},
            "--results 'faces,cars' cannot be used: only a broker passes them on: see --url",
        ),
        (
            {"results": ("faces",), "wait_s": 0.5},
            "--wait '500ms' cannot be used: allowed is less than --max-age, which is 500ms",
        ),
        (
            {"results": ("faces",), "wait_s": "80ms", "playout": PlayoutMode.SYNC},
            "--wait '80ms' cannot be used: of --playout latest; under sync every frame waits for --delay",
        ),
        (
            {"results": ("faces",), "wait_s": "80ms", "via": Via.HOST},
            "--wait '80ms' cannot be used: it needs the stream: allowed is --via auto or broker",
        ),
        (
            {"format": PixelFormat.I420, "sinks": (NULL, SNAPSHOT)},
            "--format 'i420' cannot be used: window and snapshot take bgr or grey",
        ),
        (
            {"share_format": PixelFormat.I420, "sinks": (SHARE, WINDOW)},
            "--share-format 'i420' cannot be used: window and snapshot take bgr or grey",
        ),
        (
            {"format": PixelFormat.I420, "size": (641, 480)},
            "--size '641x480' cannot be used: i420 takes even sizes",
        ),
        (
            {"format": PixelFormat.I420, "size": (640, 1)},
            "--size '640x1' cannot be used: i420 takes even sizes",
        ),
        (
            {"share_format": PixelFormat.I420, "share_size": (640, 481), "sinks": (SHARE,)},
            "--share-size '640x481' cannot be used: i420 takes even sizes",
        ),
        (
            {"share_format": PixelFormat.I420, "size": (640, 481), "sinks": (SHARE,)},
            "--size '640x481' cannot be used: i420 takes even sizes",
        ),
    ],
)
def test_settings_that_exclude_each_other_are_refused(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        ConsumerSettings(**wrong)
    assert str(refused.value) == text


@pytest.mark.parametrize(
    ("with_it", "why"),
    [
        ({"url": "tcp+threads://127.0.0.1:1"}, "only a broker has pools: see --url"),
        ({"sinks": (NULL, SHARE, RECORD)}, "record, share needs every frame, a worker gets some"),
        ({"playout": PlayoutMode.SYNC}, "a worker takes frames at once: allowed is --playout latest"),
        ({"via": Via.HOST}, "a hub has no pools: allowed is --via auto or broker"),
        ({"results": ("faces",), "wait_s": 0.1}, "a worker takes frames at once: leave out --wait"),
    ],
)
def test_what_a_worker_of_a_pool_cannot_do_is_refused(with_it: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError) as refused:
        ConsumerSettings(pool="workers", **with_it)
    assert str(refused.value) == f"--pool 'workers' cannot be used: {why}"


def test_a_worker_of_a_pool_takes_no_frames_of_a_hub() -> None:
    assert ConsumerSettings(pool="workers").way is Via.BROKER
    with pytest.raises(ConfigError, match="--pool 'a b' cannot be used"):
        ConsumerSettings(pool="a b")


def test_settings_for_a_hub_do_not_stop_its_consumers_nor_theirs_the_hub() -> None:
    # Both may be started with the same environment, as the demo does.
    hub = ConsumerSettings(via=Via.HOST, sinks=(SHARE,))
    assert hub.way is Via.BROKER
    viewer = ConsumerSettings(share_format=PixelFormat.GREY, share_size=(640, 360), sinks=(NULL,))
    assert viewer.picture_format == PictureFormat()


def test_without_shared_memory_via_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_folder, "can_share", lambda: False)
    with pytest.raises(ConfigError) as refused:
        ConsumerSettings(via=Via.HOST)
    text = "--via 'host' cannot be used: this host cannot share pictures: allowed is broker"
    assert str(refused.value) == text
    assert ConsumerSettings().way is Via.AUTO, "whether there is a hub is found out later"
    assert ConsumerSettings(via=Via.BROKER).way is Via.BROKER


@pytest.mark.parametrize(
    "right",
    [
        {"format": PixelFormat.GREY, "sinks": (WINDOW, SNAPSHOT)},
        {"format": PixelFormat.GREY, "size": (641, 481)},
        {"delay_s": 2},  # only `sync` limits it
        {"format": PixelFormat.I420, "size": (640, 480), "sinks": (NULL,)},
        {"results": ("*",), "playout": PlayoutMode.SYNC, "via": Via.HOST},
        {"wait_s": 60, "url": "tcp+threads://x:1"},  # the variable is the producer's, too
        {"via": Via.AUTO, "sinks": (SHARE, RECORD)},
        {"via": Via.BROKER, "sinks": (SHARE,)},
        {"share_format": PixelFormat.GREY, "share_size": (641, 481), "sinks": (SHARE, WINDOW)},
        # Of no effect: a hub's own pictures are those that it shares.
        {"format": PixelFormat.I420, "sinks": (SHARE, WINDOW)},
    ],
)
def test_other_combinations_are_accepted(right: dict[str, Any]) -> None:
    settings = ConsumerSettings(**right)
    assert {name: getattr(settings, name) for name in right} == right


@pytest.mark.parametrize("sinks", [(), (WINDOW, SNAPSHOT), (SHARE,), (RECORD,), (NULL, RECORD, SHARE)])
def test_a_hub_and_a_recording_follow_the_stream_and_others_the_way_of_via(
    sinks: tuple[SinkSpec, ...],
) -> None:
    vias = [Via.AUTO, Via.BROKER] if {SHARE, RECORD} & {*sinks} else list(Via)
    ways = [Via.BROKER, Via.BROKER] if {SHARE, RECORD} & {*sinks} else list(Via)
    assert [ConsumerSettings(via=via, sinks=sinks).way for via in vias] == ways


def test_who_waits_for_results_follows_the_stream() -> None:
    assert ConsumerSettings(results=("faces",)).way is Via.AUTO
    assert ConsumerSettings(results=("faces",), wait_s=0.1).way is Via.BROKER
    assert ConsumerSettings(wait_s=0.1).way is Via.AUTO


def test_the_pictures_of_a_hub_are_those_that_it_shares() -> None:
    assert ConsumerSettings().picture_format == FULL_BGR
    own: dict[str, Any] = {"format": PixelFormat.GREY, "size": (640, 360)}
    shared: dict[str, Any] = {"share_format": PixelFormat.I420, "share_size": (320, 180)}
    assert ConsumerSettings(**own).picture_format == PictureFormat(PixelFormat.GREY, (640, 360))
    assert ConsumerSettings(**own, **shared, sinks=(SHARE,)).picture_format == PictureFormat(
        PixelFormat.I420, (320, 180)
    )
    # Its viewers have the same environment, and look for pictures of that size.
    assert ConsumerSettings(**own, sinks=(SHARE,)).picture_format == PictureFormat(
        PixelFormat.BGR, (640, 360)
    )


@pytest.mark.parametrize(
    ("key", "flag", "text", "allowed"),
    [
        ("via", "via", "hub", "auto, broker, host"),
        ("format", "format", "rgb", "bgr, i420, grey"),
        ("share_format", "share-format", "BGR", "bgr, i420, grey"),
        ("size", "size", "640", "WIDTHxHEIGHT such as 1280x720"),
        ("share_size", "share-size", "0x0", "WIDTHxHEIGHT such as 1280x720"),
    ],
)
def test_a_refusal_names_the_flag_and_what_is_allowed(key: str, flag: str, text: str, allowed: str) -> None:
    with pytest.raises(ConfigError, match=f"^--{flag} '{text}' cannot be used: .*{allowed}"):
        ConsumerSettings.load({key: text}, {})


@pytest.mark.parametrize("text", ["", ",", "camera,", " "])
def test_trusted_users_are_names(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--trust .*names of users, separated by commas"):
        ConsumerSettings.load({"trust": text}, {})


@pytest.mark.parametrize("text", ["", ",", "faces,", "two words", "**"])
def test_detectors_are_names(text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"--results .*names of detectors, separated by commas, or \* for"
    ):
        ConsumerSettings.load({"results": text}, {})
