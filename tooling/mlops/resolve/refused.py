"""Declared fields that a compute does not enforce: refused, never ignored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mlops.resolve.repository import Data
from mlops.resolve.versions import Version, Versions
from mlops.schemas.problems import DocumentPath, Problem, dotted

_REFERENCES = ("model", "environment")
_UNLOCKED = "unlocked"
"""What the declaration of an environment holds here, beside what was written, where it has no lock."""


class _Refusal(NamedTuple):
    parts: tuple[str, ...]
    value: str | None
    most: int | None
    todo: str

    def holds(self, found: object) -> bool:
        """Whether a value that stands at the path is one that is refused."""
        if self.most is not None:
            return isinstance(found, int) and found > self.most
        return self.value is None or self.value == _text(found)


class Refusals:
    """A driver's refused fields, read once and matched against many endpoints."""

    def __init__(self, refused: Mapping[str, str]) -> None:
        """Read the paths.

        Args:
            refused: Dotted path, optionally with `=value` or `>most`, to what to do.
        """
        self._refusals: list[_Refusal] = []
        self._below_references = False
        for text, todo in refused.items():
            bounded, above, most = text.partition(">")
            path, equals, value = bounded.partition("=")
            parts = tuple(path.split("."))
            self._refusals.append(_Refusal(parts, value if equals else None, int(most) if above else None, todo))
            self._below_references |= len(parts) > 3 and parts[0] == "deployments" and parts[2] in _REFERENCES

    def problems(self, versions: Versions, data: Data, compute: str) -> Iterator[Problem]:
        """What an endpoint declares and this compute refuses."""
        combined = _with_references(versions, data) if self._below_references else data
        for refusal in self._refusals:
            for path, value in _matches(combined, refusal.parts, ()):
                if refusal.holds(value):
                    yield _problem(path, compute, refusal)


def _problem(path: DocumentPath, compute: str, refusal: _Refusal) -> Problem:
    if path[-1] == _UNLOCKED:
        detail = f"{compute} installs what a lock says, and the environment of {path[1]} has none."
        return Problem(path[:3], "Environment cannot be served by the compute", detail, refusal.todo)
    if refusal.most is not None:
        detail = f"{compute} takes {refusal.most} at most."
        return Problem(path, "More than the compute takes", detail, refusal.todo)
    shown = dotted(path) + (f": {refusal.value}" if refusal.value is not None else "")
    place = path[:3] if len(path) > 3 and path[0] == "deployments" and path[2] in _REFERENCES else path
    detail = f'{compute} does not enforce "{shown}".'
    return Problem(place, "Not enforced by the compute", detail, refusal.todo, at_key=True)


def _matches(value: Any, parts: tuple[str, ...], path: DocumentPath) -> Iterator[tuple[DocumentPath, Any]]:  # noqa: ANN401
    if not parts:
        yield path, value
    elif isinstance(value, Mapping):
        if parts[0] == "*":
            for key, below in value.items():
                yield from _matches(below, parts[1:], (*path, key))
        elif parts[0] in value:
            yield from _matches(value[parts[0]], parts[1:], (*path, parts[0]))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _with_references(versions: Versions, data: Data) -> Data:
    """The endpoint with the declarations of its models and environments in the place of their names."""
    deployments = {
        name: {
            **body,
            "model": _declared(versions.models.get(body["model"])),
            "environment": _declared(versions.environments.get(body["environment"])),
        }
        for name, body in data["deployments"].items()
    }
    return {**data, "deployments": deployments}


def _declared(version: Version | None) -> Data:
    if version is None:
        return {}
    data = version.document.data
    only_an_image = version.resource.address.kind == "environment" and version.lock is None and "image" in data
    return {**data, _UNLOCKED: True} if only_an_image else data
