from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from fanlight.common.model import units
from fanlight.common.model.errors import ConfigError
from fanlight.common.model.units import NAME, Notation
from fanlight.common.runtime.options import OptionGroup, add_flags, option


@dataclass(frozen=True, kw_only=True)
class Base(OptionGroup):
    stream: str = option("cam", NAME, "which stream", "NAME")
    max_age_s: float = option(0.5, units.duration(3600), "how old", "TIME")


@dataclass(frozen=True, kw_only=True)
class Settings(Base):
    fps: float = option(30.0, units.RATE, "frames per second, 100% of them", "FPS")
    loop: bool = option(False, units.SWITCH, "again and again")
    sinks: tuple[str, ...] = option(
        ("status",), NAME, "where to", "SINK", name="sink", shown="status", repeated=True
    )
    size: tuple[int, int] | None = option(
        None, units.SIZE, "how large", "SIZE", shown="as it is", old_name="scale"
    )
    password: str | None = option(
        None, Notation("not empty", str, lambda text: len(text) > 0), "", shown="none", secret=True
    )


def load(*argv: str, environment: Mapping[str, str] | None = None) -> Settings:
    parser = argparse.ArgumentParser()
    add_flags(parser, Settings)
    return Settings.load(vars(parser.parse_args(argv)), environment or {})


def test_without_flags_and_environment_the_defaults_hold() -> None:
    assert load() == Settings()
    assert Settings.fps == 30.0, "what a signature may refer to"


@pytest.mark.parametrize(
    ("variable", "expected", "flags", "of_flags"),
    [
        ("FPS=25", Settings(fps=25), ["--fps", "50"], Settings(fps=50)),
        ("MAX_AGE=200ms", Settings(max_age_s=0.2), ["--max-age", "1s"], Settings(max_age_s=1)),
        ("LOOP=yes", Settings(loop=True), ["--loop"], Settings(loop=True)),
        ("LOOP=0", Settings(loop=False), ["--loop"], Settings(loop=True)),
        ("SINK=a", Settings(sinks=("a",)), ["--sink", "x", "--sink", "y"], Settings(sinks=("x", "y"))),
        ("SINK=,a,,b,", Settings(sinks=("a", "b")), ["--sink", "x"], Settings(sinks=("x",))),
        ("SINK=", Settings(sinks=()), ["--sink", "x"], Settings(sinks=("x",))),
        ("STREAM=left\r\n", Settings(stream="left"), ["--stream", "right"], Settings(stream="right")),
        ("MAX_AGE=1s\n", Settings(max_age_s=1), ["--max-age", "2s"], Settings(max_age_s=2)),
        ("STREAM=left", Settings(stream="left"), ["--stream", "right"], Settings(stream="right")),
    ],
)
def test_the_environment_wins_over_defaults_and_flags_win_over_both(
    variable: str, expected: Settings, flags: list[str], of_flags: Settings
) -> None:
    environment = dict([f"FANLIGHT_{variable}".split("=")])
    assert load(environment=environment) == expected
    assert load(*flags) == of_flags
    assert load(*flags, environment=environment) == of_flags


SWITCH = "1 or 0 (also true/false, yes/no, on/off)"


@pytest.mark.parametrize(
    ("flags", "environment", "refused", "allowed"),
    [
        (["--fps", "0"], {}, "--fps '0'", units.RATE.rule),
        ([], {"FANLIGHT_FPS": "0"}, "FANLIGHT_FPS '0'", units.RATE.rule),
        ([], {"FANLIGHT_FPS": ""}, "FANLIGHT_FPS ''", units.RATE.rule),
        (["--max-age", "-1"], {}, "--max-age '-1'", units.duration(3600).rule),
        ([], {"FANLIGHT_LOOP": "maybe"}, "FANLIGHT_LOOP 'maybe'", SWITCH),
        (["--sink", "a", "--sink", "x.y"], {}, "--sink 'x.y'", NAME.rule),
        ([], {"FANLIGHT_SINK": "a,x.y,z"}, "FANLIGHT_SINK 'x.y'", NAME.rule),
        (["--scale", "0x0"], {}, "--scale '0x0'", units.SIZE.rule),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_the_layer_it_came_from(
    flags: list[str], environment: dict[str, str], refused: str, allowed: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(*flags, environment=environment)
    assert str(caught.value) == f"{refused} cannot be used: allowed is {allowed}"


def test_a_flag_that_wins_hides_a_bad_variable() -> None:
    environment = {"FANLIGHT_FPS": "bad", "FANLIGHT_STREAM": "left"}
    assert load("--fps", "5", environment=environment) == Settings(fps=5, stream="left")


def test_values_of_programs_are_checked_and_may_be_texts() -> None:
    assert Settings(fps="12.5", size="64x48") == Settings(fps=12.5, size=(64, 48))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^--max-age 3601 cannot be used: allowed is a duration"):
        Settings(max_age_s=3601)
    with pytest.raises(ConfigError, match=r"^--fps None cannot be used: allowed is a number of frames"):
        Settings(fps=None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"^--sink 5 cannot be used"):
        Settings(sinks=5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flags", "environment", "width", "warning"),
    [
        (["--scale", "1x1"], {}, 1, "--scale is now called --size"),
        ([], {"SCALE": "1x1"}, 1, "FANLIGHT_SCALE is now called FANLIGHT_SIZE"),
        # Where both are set, the new one was meant for the other command.
        ([], {"SCALE": "1x1", "SIZE": "2x2"}, 1, "FANLIGHT_SCALE is now called FANLIGHT_SIZE"),
        (["--size", "3x3"], {"SCALE": "1x1"}, 3, None),
        ([], {"SIZE": "2x2"}, 2, None),
    ],
)
def test_an_old_name_is_accepted_with_one_warning(
    flags: list[str],
    environment: dict[str, str],
    width: int,
    warning: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        settings = load(*flags, environment={f"FANLIGHT_{key}": text for key, text in environment.items()})
    assert settings.size == (width, width)
    assert [text.partition(";")[0] for text in caplog.messages] == ([warning] if warning else [])


def test_help_lists_every_flag_with_its_default_and_variable() -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser, Settings)
    text = " ".join(parser.format_help().split())
    for each in (
        "--fps FPS frames per second, 100% of them (default: 30) [FANLIGHT_FPS]",
        "--loop again and again (default: off) [FANLIGHT_LOOP]",
        "--sink SINK where to (default: status) [FANLIGHT_SINK]",
        "--size SIZE how large (default: as it is) [FANLIGHT_SIZE]",
        "--max-age TIME how old (default: 500ms) [FANLIGHT_MAX_AGE]",
    ):
        assert each in text
    assert "scale" not in text


def test_a_secret_has_no_flag_and_no_error_repeats_it() -> None:
    with pytest.raises(SystemExit):
        load("--password", "s3cret")
    settings = load(environment={"FANLIGHT_PASSWORD": "s3cret"})
    assert settings.password == "s3cret"
    assert "s3cret" not in repr(settings)
    with pytest.raises(ConfigError, match=r"^FANLIGHT_PASSWORD '' cannot be used: allowed is not empty"):
        Settings(password=12345)  # type: ignore[arg-type]


def test_a_file_may_be_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Files(OptionGroup):
        ca: str | None = option(None, units.FILE, "certificates", "FILE", shown="none")
        name: str = option("~", units.TEXT, "no file")

    monkeypatch.setenv("HOME", "/home/me")
    assert (
        Files(ca="~/ca.pem") == Files.load({}, {"FANLIGHT_CA": "~/ca.pem"}) == Files(ca="/home/me/ca.pem")
    )
    assert (Files().ca, Files().name) == (None, "~")
