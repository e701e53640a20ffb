"""How sinks refuse files, and how they say that one has failed."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from common.errors import ConfigError
from consumer.sinks.files import failed, require_suffix, unusable


def test_an_extension_is_read_whatever_its_case() -> None:
    assert require_suffix("record", Path("A.MP4"), (".mp4", ".mkv")) == ".mp4"


@pytest.mark.parametrize("name", ["x", "x.avi", ".mp4", "x.mp4.txt"])
def test_another_extension_is_refused_with_those_allowed(name: str) -> None:
    with pytest.raises(ConfigError) as refused:
        require_suffix("record", Path(name), (".mp4", ".mkv"))
    expected = f"--sink 'record:{name}' cannot be used: allowed is a file name that ends in .mp4 or .mkv"
    assert str(refused.value) == expected


def test_an_unusable_file_is_one_sentence() -> None:
    error = unusable(
        "trace", Path("/nope/x"), OSError(errno.ENOENT, "No such file or directory", "/nope/x")
    )
    assert str(error) == (
        "--sink 'trace:/nope/x' cannot be used: "
        "allowed is a file that can be written (No such file or directory)"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (ValueError("no such thing"), "no such thing"),
        (ValueError(), "ValueError()"),
    ],
)
def test_a_failure_is_told_in_the_errors_own_words(error: Exception, words: str) -> None:
    assert str(failed("trace", Path("x"), error)) == f"trace:x cannot be written any further: {words}"
