"""The grammar of names, built from named parts and compiled once.

Endpoint and deployment names are Azure ML's: a letter first, 3 to 32 characters, letters, digits and single dashes. All
names are also names of files, so what Windows cannot have as a file is no name here.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

_LETTER = "[A-Za-z]"
_ALNUM = "[A-Za-z0-9]"
_LOWER = "[a-z]"
_LOWER_ALNUM = "[a-z0-9]"
_DASHED = f"{_LETTER}{_ALNUM}*(?:-{_ALNUM}+)*"
_LOWER_DASHED = f"{_LOWER}{_LOWER_ALNUM}*(?:-{_LOWER_ALNUM}+)*"
_DOTTED = f"{_ALNUM}[A-Za-z0-9._-]*"
_WINDOWS = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


class NameKind(StrEnum):
    """What a name is the name of."""

    PROJECT = "project"
    STAGE = "stage"
    COMPUTE = "compute"
    ENDPOINT = "endpoint"
    DEPLOYMENT = "deployment"
    MODEL = "model"
    ENVIRONMENT = "environment"
    VERSION = "version"


class Reference(NamedTuple):
    """A version of a model or of an environment: `fraud:4`."""

    name: str
    version: str

    def __str__(self) -> str:
        """Write it as users do."""
        return f"{self.name}:{self.version}"


class _Grammar(NamedTuple):
    pattern: re.Pattern[str]
    shortest: int
    longest: int
    rule: str
    reserved: frozenset[str] = frozenset()


_LETTERS_RULE = "letters, digits and single dashes, a letter first"
_LOWER_RULE = "lower-case letters, digits and single dashes, a letter first"
_DOTTED_RULE = "letters, digits, dots, underscores and dashes, a letter or digit first and no dot last"

_GRAMMARS = {
    NameKind.PROJECT: _Grammar(
        re.compile(f"{_LOWER_ALNUM}+(?:-{_LOWER_ALNUM}+)*"), 3, 24, "lower-case letters, digits and single dashes"
    ),
    NameKind.STAGE: _Grammar(re.compile(_LOWER_DASHED), 1, 32, _LOWER_RULE, frozenset({"shared", "endpoint"})),
    NameKind.COMPUTE: _Grammar(re.compile(_DASHED), 2, 32, _LETTERS_RULE, frozenset({"registry"})),
    NameKind.ENDPOINT: _Grammar(re.compile(_DASHED), 3, 32, _LETTERS_RULE),
    NameKind.DEPLOYMENT: _Grammar(re.compile(_DASHED), 3, 32, _LETTERS_RULE),
    NameKind.MODEL: _Grammar(re.compile(_DOTTED), 1, 64, _DOTTED_RULE),
    NameKind.ENVIRONMENT: _Grammar(re.compile(_DOTTED), 1, 64, _DOTTED_RULE),
    NameKind.VERSION: _Grammar(re.compile(_DOTTED), 1, 32, _DOTTED_RULE, frozenset({"tombstones", "latest"})),
}

_AZURE_PREFIX = "azureml:"


def pattern(kind: NameKind) -> str:
    """The regular expression of a kind of name, anchored, for JSON Schemas."""
    return f"^{_GRAMMARS[kind].pattern.pattern}$"


def lengths(kind: NameKind) -> tuple[int, int]:
    """The shortest and the longest that a kind of name may be."""
    return _GRAMMARS[kind].shortest, _GRAMMARS[kind].longest


def is_name(kind: NameKind, text: str) -> bool:
    """Whether a text is a name of this kind."""
    grammar = _GRAMMARS[kind]
    return (
        grammar.shortest <= len(text) <= grammar.longest
        and grammar.pattern.fullmatch(text) is not None
        and not text.endswith(".")
        and text.lower() not in grammar.reserved
        and _WINDOWS.fullmatch(text) is None
    )


def check_name(kind: NameKind, text: str) -> str:
    """Return the name.

    Raises:
        ValueError: It is no name of this kind; says why, as a sentence.
    """
    if is_name(kind, text):
        return text
    grammar = _GRAMMARS[kind]
    named = f"cannot be the name of {'an' if kind[0] in 'aeiou' else 'a'} {kind}"
    if text.lower() in grammar.reserved:
        raise ValueError(f'"{text}" is reserved and {named}: write another.')
    if _WINDOWS.fullmatch(text):
        raise ValueError(f'"{text}" {named}, because Windows reserves it: write another.')
    raise ValueError(f'"{text}" {named}: write {grammar.shortest} to {grammar.longest} {grammar.rule}.')


def parse_reference(text: str, kind: NameKind = NameKind.MODEL) -> Reference:
    """Read `name:version`, or Azure ML's `azureml:name:version`.

    Args:
        text: What the user wrote.
        kind: MODEL or ENVIRONMENT.

    Raises:
        ValueError: It is no reference to one version; says why and what to write instead.
    """
    short = text.removeprefix(_AZURE_PREFIX)
    if short.startswith("//"):
        raise ValueError(f'"{text}" names an outside registry: declare the {kind} in this repository and name it.')
    name, at, _ = short.partition("@")
    if at:
        raise ValueError(f'"{text}" may mean another version tomorrow, so nobody can review it: write {name}:VERSION.')
    name, colon, version = short.partition(":")
    if not colon or not version:
        raise ValueError(f'"{text}" names no version: write {name or "NAME"}:VERSION.')
    return Reference(check_name(kind, name), check_name(NameKind.VERSION, version))
