from __future__ import annotations

from fanlight.consumer.sink_spec import DESCRIPTIONS, SINKS, parse_sink
from scripts.options_table import OPTIONS, REFERENCE, written


def test_the_reference_has_the_options_and_sinks_that_there_are() -> None:
    text = REFERENCE.read_text()
    assert written(text) == text, "run: python -m scripts.options_table"


def test_each_option_has_one_row() -> None:
    names = [each.name for options in OPTIONS.values() for each in options]
    assert {"gop", "via", "url", "doctor"} <= set(names)
    repeated = {name: names.count(name) for name in names if names.count(name) > 1}
    assert repeated == {"duration": 2, "max-age": 3, "size": 2, "name": 2, "wait": 2}


def test_each_sink_is_described() -> None:
    assert (
        SINKS
        == "window, status, null, share, snapshot:FILE, record:FILE, pipe:FILE, web:HOST:PORT or trace:FILE"
    )
    given = [form.replace("HOST:PORT", "localhost:8080") for form in DESCRIPTIONS]
    assert [str(parse_sink(text)) for text in given] == given
