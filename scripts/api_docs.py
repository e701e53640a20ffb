"""Writes docs/api.md from the docstrings of the public names: `python -m scripts.api_docs`.

griffe reads the sources and the docstrings, and griffe2md makes Markdown of them. The rest is done here:
the order, defaults as values, and text that is read as such on GitHub and in a terminal.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Final

import griffe
import griffe2md

PAGE: Final = Path(__file__).parents[1] / "docs" / "api.md"
GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "Send": ("Producer", "ProducerStats"),
    "Receive": ("Consumer", "VideoCapture", "Frame", "FrameHeader", "Codec", "ConsumerStats"),
    "Several streams": ("pairs", "Pairs"),
    "Results": (
        *("Results", "Result", "draw_results", "from_supervision", "to_supervision"),
        *("ordered", "Ordered", "ResultCounts", "ResultsStats", "OrderedStats"),
    ),
    "asyncio": ("aio.Consumer", "aio.Producer", "aio.pairs", "aio.Pairs"),
    "Which streams are live": ("streams", "Announcement"),
    "Errors": (
        *("FanlightError", "ConfigError", "StreamEnded", "WrongProcess", "FrameExpired"),
        *("BrokerUnavailable", "BrokerRefused", "TokenRefused", "ListenError"),
        *("EncodeError", "DecodeError", "WireFormatError", "SourceError", "SinkError", "SharingError"),
    ),
}
"""Every public name, by what it is for."""
OMITTED: Final = {
    "Announcement": ("TYPE", "from_json", "to_json", "to_table"),
    "ConsumerStats": ("overstayed", "repeated"),
    "FrameHeader": ("check_sizes", "from_amqp", "to_amqp"),
    "Producer": ("stop",),
    "Result": ("TYPE", "to_table"),
}
"""Former names, and what only transports use."""
_HEAD: Final = """\
# API

What programs import from `fanlight`. This page is made from the docstrings: `python -m scripts.api_docs`.
What may be used from which threads, after `fork`, in asyncio and in signal handlers is one table in
[programs.md](programs.md). Times in nanoseconds (`_ns`) are Unix time unless said otherwise; those in
seconds (`_s`) are durations. Every error is a `FanlightError`.

"""
GIVEN: Final = (
    *("Announcement", "ConsumerStats", "FrameHeader", "Ordered", "OrderedStats", "Pairs", "ProducerStats"),
    *("ResultCounts", "ResultsStats", "aio.Pairs"),
)
"""Programs get these and do not make them."""
_LINE_LENGTH: Final = 100
_CONFIG: Final = griffe2md.ConfigDict(
    {
        **griffe2md.default_config,
        "heading_level": 3,
        "inherited_members": False,
        "members_order": "source",
        "show_bases": False,
        "show_if_no_docstring": False,
        "show_object_full_path": False,
        "show_root_full_path": False,
        "show_root_members_full_path": False,
        "show_signature_annotations": True,
        "summary": False,
    }
)


def package() -> griffe.Module:
    """All of it, as griffe reads it: by way of `src`, where the links to the folders are."""
    read = griffe.load(
        "fanlight",
        search_paths=[PAGE.parents[1] / "src"],
        docstring_parser=griffe.Parser.google,
        docstring_options={"warnings": False},  # `a, b: both of them` is none of its forms
        resolve_aliases=True,
    )
    assert isinstance(read, griffe.Module)
    return read


def public(read: griffe.Module, name: str) -> griffe.Object:
    """What a public name stands for."""
    each = read[name]
    return each.final_target if isinstance(each, griffe.Alias) else each


def written() -> str:
    """The page as it has to be."""
    read = package()
    contents, sections = [], []
    for title, names in GROUPS.items():
        links = " · ".join(f"[{name}](#{name.lower().replace('.', '')})" for name in names)
        contents.append(f"- {title}: {links}\n")
        sections += [f"\n## {title}\n", *(_section(public(read, name), name, read) for name in names)]
    return f"{_HEAD}{''.join(contents)}{''.join(sections)}"


def type_names(shown: griffe.Object) -> Iterator[griffe.ExprName]:
    """The names in the annotations of a function, or of a class's public members."""
    if isinstance(shown, griffe.Class):
        for member in shown.members.values():
            private = member.name.startswith("_") or member.name in OMITTED.get(shown.name, ())
            made = member.name == "__init__" and shown.name not in GIVEN
            if isinstance(member, griffe.Object) and (made or not private):
                yield from type_names(member)
    expressions: list[str | griffe.Expr | None] = []
    if isinstance(shown, griffe.Attribute):
        expressions = [shown.annotation]
    elif isinstance(shown, griffe.Function):
        expressions = [shown.returns, *(each.annotation for each in shown.parameters)]
    for expression in expressions:
        if isinstance(expression, griffe.Expr):
            yield from (each for each in expression.iterate() if isinstance(each, griffe.ExprName))


def _section(shown: griffe.Object, name: str, read: griffe.Module) -> str:
    module, _, attribute = f"fanlight.{name}".rpartition(".")
    _show_defaults(shown, getattr(importlib.import_module(module), attribute))
    aliases = _mark_aliases(shown, read)
    hidden = "|".join(("_.*", *OMITTED.get(name, ())))
    text = griffe2md.render_object_docs(shown, {**_CONFIG, "filters": [f"!^({hidden})$"]})
    if name in GIVEN:
        text = re.sub(r"```python\n.*?\n```\n", "", text, count=1, flags=re.DOTALL)
    changes: dict[str, str | Callable[[re.Match[str]], str]] = {
        r"\[([^][]+)\]\(#[^)]*\)": r"\1",  # links to headings that only a site of all modules has
        r"<code>(.*?)</code>": r"`\1`",
        r"^- \*\*([\w, ]+)\*\*": r"- `\1`",
        r"^- .*(?:\n(?!- )\S.*)+": lambda item: item[0].replace("\n", "\n  "),
        r"^### .*": f"### `{name}`",
        rf"(?<=^```python\n){shown.name}(?=\()": attribute,
        r"\b\w*consumer\.(?=Consumer\b)": "",  # a module's name
        r"\bAsync(?=Pairs\b)": "",
        rf"(?<=^```python\n)(?=(?:{_coroutines(shown)})\()": "async ",
        r"^#### `(\w+)`": rf"#### `{name}.\1`",
        r"\n{3,}": "\n\n",
        r"\w+_ALIAS": lambda found: aliases[found[0]],
        r"(?<=^```python\n).+(?=\n```$)": _wrapped,
    }
    for pattern, change in changes.items():
        text = re.sub(pattern, change, text, flags=re.MULTILINE)
    return f"\n{text.strip()}\n"


def _coroutines(shown: griffe.Object) -> str:
    """The names of its coroutines, for a pattern."""
    return "|".join(name for name, each in shown.members.items() if "async" in each.labels) or "(?!)"


def _mark_aliases(shown: griffe.Object, read: griffe.Module) -> dict[str, str]:
    """Mark our names for types, which programs do not have; returns what each stands for."""
    aliases = {}
    for each in {id(each): each for each in type_names(shown)}.values():  # some are in two places
        package, _, path = each.canonical_path.partition(".")
        target = read[path] if package == "fanlight" else None
        if isinstance(target, griffe.Attribute) and each.name != "JSON":  # which contains itself
            each.name = f"{path.rpartition('.')[2]}_ALIAS"
            aliases[each.name] = str(target.value)
    return aliases


def _show_defaults(shown: griffe.Object, real: object) -> None:
    """Write all defaults as values, where the source has the names of settings."""
    if isinstance(shown, griffe.Function) and callable(real):
        for name, parameter in inspect.signature(real).parameters.items():
            value = parameter.default
            if value is not inspect.Parameter.empty and name in shown.parameters:
                text = repr(value.value if isinstance(value, Enum) else value)
                shown.parameters[name].default = "..." if text.startswith("<") else text
    elif isinstance(shown, griffe.Class):
        for name, member in shown.members.items():
            if isinstance(member, griffe.Function) and (name == "__init__" or not name.startswith("_")):
                _show_defaults(member, getattr(real, name))


def _wrapped(found: re.Match[str]) -> str:
    """A signature that is too long, one parameter a line."""
    text = found[0]
    if len(text) <= _LINE_LENGTH:
        return text
    head, _, rest = text.partition("(")
    inner, _, tail = rest.rpartition(")")
    parameters, depth = [""], 0
    for character in inner:
        depth += (character in "[(") - (character in ")]")
        if character == "," and not depth:
            parameters.append("")
        else:
            parameters[-1] += character
    return f"{head}(\n" + "".join(f"    {each.strip()},\n" for each in parameters) + f"){tail}"


if __name__ == "__main__":
    PAGE.write_text(written())
