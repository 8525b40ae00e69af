"""`KEY=VALUE` on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import click


class PairType(click.ParamType[tuple[str, str]]):
    """A key and a text."""

    name = "pair"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Read `KEY=VALUE`; what is none is a usage error."""
        if isinstance(value, tuple):
            return value
        key, equals, text = str(value).partition("=")
        if not equals or not key:
            self.fail(f'"{value}" is not of the form KEY=VALUE.', param, ctx)
        return key, text


PAIR = PairType()


def texts(pairs: Iterable[tuple[str, str]], option: str) -> dict[str, str]:
    """The values of pairs by their keys.

    Raises:
        click.BadParameter: A key has two values.
    """
    found: dict[str, str] = {}
    for key, text in pairs:
        if found.setdefault(key, text) != text:
            raise click.BadParameter(f'"{key}" has two values, "{found[key]}" and "{text}".', param_hint=option)
    return found


def numbers(pairs: Iterable[tuple[str, str]], option: str) -> Mapping[str, float]:
    """The values of pairs as numbers, by their keys.

    Raises:
        click.BadParameter: One is none, or a key has two values.
    """
    found: dict[str, float] = {}
    for key, text in texts(pairs, option).items():
        try:
            found[key] = int(text) if text.lstrip("-").isdigit() else float(text)
        except ValueError:
            raise click.BadParameter(f'"{text}" of {key} is not a number.', param_hint=option) from None
    return found
