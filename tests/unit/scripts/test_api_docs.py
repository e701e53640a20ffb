"""docs/api.md says of every public name what a program has to know, and nothing that is not so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import griffe
import pytest

import fanlight
from fanlight import aio
from scripts.api_docs import GIVEN, GROUPS, OMITTED, PAGE, package, public, type_names, written

READ: Final = package()
NAMES: Final = [name for names in GROUPS.values() for name in names]


def test_the_page_is_the_one_that_is_made() -> None:
    assert PAGE.read_text() == written(), "run: python -m scripts.api_docs"


def test_every_public_name_is_in_one_group() -> None:
    of_aio = [f"aio.{name}" for name in aio.__all__]
    assert sorted(NAMES) == sorted([*fanlight.__all__, *of_aio])


def described(docstring: griffe.Docstring | None, kind: griffe.DocstringSectionKind) -> set[str]:
    """The names in such sections; `a, b: both of them` are two."""
    sections = [] if docstring is None else [each for each in docstring.parsed if each.kind is kind]
    return {name for section in sections for item in section.value for name in item.name.split(", ")}


def undescribed(shown: griffe.Object, name: str) -> Iterator[str]:
    """Each parameter, field, property and method without a word, and each word about one that is not."""
    if isinstance(shown, griffe.Function):
        said = described(shown.docstring, griffe.DocstringSectionKind.parameters)
        yield from (f"{name}({each})" for each in parameters(shown) ^ said)
        if shown.docstring is None:
            yield name
    elif isinstance(shown, griffe.Class):
        said = described(shown.docstring, griffe.DocstringSectionKind.parameters)
        attributes = described(shown.docstring, griffe.DocstringSectionKind.attributes)
        for member in shown.members.values():
            assert isinstance(member, griffe.Object)
            if isinstance(member, griffe.Function) and member.name == "__init__":
                # Those of an error are its attributes.
                wrong = set() if name in GIVEN else parameters(member) ^ (said or attributes)
                yield from (f"{name}({each})" for each in wrong)
            elif member.name.startswith("_") or member.name in (*OMITTED.get(name, ()), "memory"):
                continue
            elif isinstance(member, griffe.Function):
                yield from undescribed(member, f"{name}.{member.name}")
            elif member.docstring is None and member.name not in attributes:
                yield f"{name}.{member.name}"


def parameters(function: griffe.Function) -> set[str]:
    """Not `*arguments` and `**keywords`, which are those of another one."""
    kinds = (griffe.ParameterKind.var_positional, griffe.ParameterKind.var_keyword)
    return {each.name for each in function.parameters if each.kind not in kinds} - {"self", "cls"}


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_and_attribute_is_described(name: str) -> None:
    shown = public(READ, name)
    assert shown.docstring is not None
    assert list(undescribed(shown, name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_type_in_a_signature_can_be_imported_by_a_program(name: str) -> None:
    ours = {each.canonical_path for each in type_names(public(READ, name))}
    importable = {public(READ, each).canonical_path for each in NAMES}
    hidden = {each for each in ours - importable if each.startswith("fanlight.")}
    classes = {each for each in hidden if READ[each.removeprefix("fanlight.")].is_class}
    assert classes <= {"fanlight.consumer.frame.PictureMemory"}


def test_the_checks_find_what_they_are_for() -> None:
    with griffe.temporary_visited_module(
        "class A:\n    '''Is.\n\n    Args:\n        a, b: are.\n        x: is not.\n    '''\n"
        "    c: int\n    def __init__(self, a, b, d): ...\n    def f(self): ...\n",
        docstring_parser=griffe.Parser.google,
        docstring_options={"warnings": False},
    ) as module:
        assert set(undescribed(module["A"], "A")) == {"A(d)", "A(x)", "A.c", "A.f"}
