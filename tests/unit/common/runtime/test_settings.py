from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from fanlight.common.model.address import DEFAULT_URL
from fanlight.common.model.errors import ConfigError
from fanlight.common.model.units import count, duration_s, rate_fps
from fanlight.common.runtime.settings import STREAM, URL, OneLineParser, Option, add_flags, resolve

OPTIONS = (
    Option("fps", rate_fps, 30.0, "frames per second, 100% of them", "FPS"),
    Option("max-age", duration_s, 0.5, "how old", "TIME", field="max_age_s"),
    Option("loop", str, False, "again and again", switch=True),
    Option("sink", str, ("status",), "where to", "SINK", repeated=True),
    Option("cut", count, (), "where to cut", "N", repeated=True),
    STREAM,
    URL,
)
DEFAULTS = {
    "fps": 30.0,
    "max_age_s": 0.5,
    "loop": False,
    "sink": ("status",),
    "cut": (),
    "stream": "cam",
    "url": DEFAULT_URL,
}


def parser() -> OneLineParser:
    made = OneLineParser(prog="producer")
    add_flags(made, OPTIONS)
    return made


def settle(*argv: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    return resolve(OPTIONS, vars(parser().parse_args(argv)), environment or {})


def test_without_flags_and_environment_the_defaults_hold() -> None:
    assert settle() == DEFAULTS


@pytest.mark.parametrize(
    ("variable", "key", "value", "flags", "flag_value"),
    [
        ("FANLIGHT_FPS=25", "fps", 25.0, ["--fps", "50"], 50.0),
        ("FANLIGHT_MAX_AGE=200ms", "max_age_s", 0.2, ["--max-age", "1s"], 1.0),
        ("FANLIGHT_LOOP=yes", "loop", True, ["--loop"], True),
        ("FANLIGHT_LOOP=0", "loop", False, ["--loop"], True),
        (
            "FANLIGHT_SINK=null,snapshot:a.png",
            "sink",
            ("null", "snapshot:a.png"),
            ["--sink", "x"],
            ("x",),
        ),
        ("FANLIGHT_SINK=null", "sink", ("null",), ["--sink", "x", "--sink", "y"], ("x", "y")),
        ("FANLIGHT_CUT=1,2", "cut", (1, 2), ["--cut", "3"], (3,)),
        ("FANLIGHT_CUT=,1,,2,", "cut", (1, 2), ["--cut", "3"], (3,)),
        ("FANLIGHT_SINK=", "sink", (), ["--sink", "x"], ("x",)),
        ("FANLIGHT_STREAM=left", "stream", "left", ["--stream", "right"], "right"),
        ("FANLIGHT_URL=amqp://e", "url", "amqp://e", ["--url", "amqp://f"], "amqp://f"),
    ],
)
def test_the_environment_wins_over_defaults_and_flags_win_over_both(
    variable: str, key: str, value: object, flags: list[str], flag_value: object
) -> None:
    environment = dict([variable.split("=")])
    assert settle(environment=environment) == {**DEFAULTS, key: value}
    assert settle(*flags) == {**DEFAULTS, key: flag_value}
    assert settle(*flags, environment=environment) == {**DEFAULTS, key: flag_value}


def test_layers_are_chosen_setting_by_setting() -> None:
    settled = settle("--fps", "5", environment={"FANLIGHT_FPS": "7", "FANLIGHT_STREAM": "left"})
    assert settled == {**DEFAULTS, "fps": 5.0, "stream": "left"}


RATE = "a number of frames per second above 0 and up to 1000"
DURATION = "a duration such as 500ms, 20s, 1.5m or 2h, up to 1000h"
SWITCH = "1 or 0 (also true/false, yes/no, on/off)"
NAME = "1 to 64 letters, digits, '-' or '_'"


@pytest.mark.parametrize(
    ("flags", "environment", "refused", "allowed"),
    [
        (["--fps", "0"], {}, "--fps '0'", RATE),
        ([], {"FANLIGHT_FPS": "0"}, "FANLIGHT_FPS '0'", RATE),
        ([], {"FANLIGHT_FPS": ""}, "FANLIGHT_FPS ''", RATE),
        (["--max-age", "-1"], {}, "--max-age '-1'", DURATION),
        ([], {"FANLIGHT_MAX_AGE": "1d"}, "FANLIGHT_MAX_AGE '1d'", DURATION),
        ([], {"FANLIGHT_LOOP": "maybe"}, "FANLIGHT_LOOP 'maybe'", SWITCH),
        (["--cut", "1", "--cut", "x"], {}, "--cut 'x'", "a whole number from 1"),
        ([], {"FANLIGHT_CUT": "1,x,y"}, "FANLIGHT_CUT 'x'", "a whole number from 1"),
        (["--stream", "a b"], {}, "--stream 'a b'", NAME),
    ],
)
def test_a_bad_value_is_refused_in_the_name_of_the_layer_it_came_from(
    flags: list[str], environment: dict[str, str], refused: str, allowed: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        settle(*flags, environment=environment)
    assert str(caught.value) == f"{refused} cannot be used: allowed is {allowed}"


def test_a_flag_that_wins_hides_a_bad_variable() -> None:
    assert settle("--fps", "5", environment={"FANLIGHT_FPS": "bad"})["fps"] == 5.0


# The command line --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["--bogus", "5"], "unrecognized arguments: --bogus 5"),
        (["stray"], "unrecognized arguments: stray"),
        (["--two\nlines"], "unrecognized arguments: --two lines"),
        (["--fps"], "argument --fps: expected one argument"),
        (["--loop=1"], "argument --loop: ignored explicit argument '1'"),
        (["--fp", "5"], "unrecognized arguments: --fp 5"),
    ],
)
def test_an_unusable_command_line_is_one_line_on_stderr_and_exit_code_2(
    argv: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(argv)
    out, err = capsys.readouterr()
    assert caught.value.code == 2
    assert out == ""
    assert err == f"producer: {complaint} (see producer --help)\n"


def test_help_lists_every_flag_with_its_variable_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(["--help"])
    out, err = capsys.readouterr()
    assert caught.value.code == 0
    assert err == ""
    for option in OPTIONS:
        assert f"--{option.name}" in out
        assert f"[{option.variable}]" in " ".join(out.split())
    assert "100% of them" in out


@pytest.mark.parametrize(
    ("option", "key", "variable"),
    [
        (Option("max-age", duration_s, 1.0, ""), "max_age", "FANLIGHT_MAX_AGE"),
        (Option("max-age", duration_s, 1.0, "", field="max_age_s"), "max_age_s", "FANLIGHT_MAX_AGE"),
        (STREAM, "stream", "FANLIGHT_STREAM"),
        (URL, "url", "FANLIGHT_URL"),
    ],
)
def test_keys_and_variables_follow_from_the_name(option: Option, key: str, variable: str) -> None:
    assert (option.key, option.variable) == (key, variable)


def test_a_secret_has_no_flag_and_comes_from_the_environment_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    secret = Option("password", str, None, "", secret=True)
    made = OneLineParser(prog="producer")
    add_flags(made, [secret])
    with pytest.raises(SystemExit):
        made.parse_args(["--password", "amqp://ann:s3cret@host"])
    assert "s3cret" not in capsys.readouterr().err
    assert resolve([secret], {}, {"FANLIGHT_PASSWORD": "s3cret"}) == {"password": "s3cret"}
