from __future__ import annotations

from scripts.options_table import README, TABLES, written


def test_the_readme_has_the_options_that_there_are() -> None:
    text = README.read_text()
    assert written(text) == text, "run: python -m scripts.options_table"


def test_each_option_has_one_row() -> None:
    names = [each.name for options in TABLES.values() for each in options]
    assert {"gop", "via", "url", "doctor"} <= set(names)
    assert (
        sorted(name for name in names if names.count(name) > 1)
        == ["duration"] * 2 + ["max-age"] * 2 + ["size"] * 2
    )
