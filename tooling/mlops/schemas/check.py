"""A document's data against its model and rules: clean data, or everything that is wrong with it.

Clean data is what the user wrote, without defaults, with versions as text and durations as seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from mlops.resource import JSON
from mlops.schemas.kinds import DocumentKind, model_of
from mlops.schemas.messages import problem_of
from mlops.schemas.problems import DocumentPath, Problem
from mlops.schemas.rules import required_version_problem, rule_problems

_INCOMPLETE = frozenset({"missing"})
"""What may be wrong with an endpoint.yaml, because a stage file completes it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a check; the data is None where there are problems."""

    data: Mapping[str, JSON] | None
    problems: tuple[Problem, ...] = ()


def check_document(kind: DocumentKind, data: JSON) -> Checked:
    """Check a document's data.

    Args:
        kind: What it should be.
        data: What a parser made of the file; for ENDPOINT, merged.

    Returns:
        Clean data, or problems with paths into `data`.
    """
    if kind is DocumentKind.PROJECT and (problem := _other_toolkit(data)):
        return Checked(None, (problem,))
    checked = check_model(model_of(kind), data, skip=_INCOMPLETE if kind is DocumentKind.BASE else frozenset())
    if checked.data is None or kind is DocumentKind.BASE:
        return checked
    problems = tuple(rule_problems(kind, checked.data))
    return Checked(None, problems) if problems else checked


def _other_toolkit(data: JSON) -> Problem | None:
    """Whether another version of the toolkit is asked for; then its files may hold what this version cannot judge."""
    text = data.get("required_version") if isinstance(data, Mapping) else None
    return required_version_problem(text) if isinstance(text, str) else None


def check_model(model: type[BaseModel], data: JSON, *, skip: frozenset[str] = frozenset()) -> Checked:
    """Check data against a pydantic model.

    Args:
        model: The model.
        data: Plain data.
        skip: Types of pydantic's errors to pass over.
    """
    try:
        document = model.model_validate(data)
    except ValidationError as error:
        problems = tuple(_problems(model, data, error, skip))
        return Checked(None if problems else cast("Mapping[str, JSON]", data), problems)
    clean = document.model_dump(mode="json", exclude_unset=True, by_alias=True)
    clean.pop("$schema", None)
    return Checked(clean)


def _problems(model: type[BaseModel], data: JSON, error: ValidationError, skip: frozenset[str]) -> Iterator[Problem]:
    found: dict[DocumentPath, list[Mapping[str, Any]]] = {}
    for detail in error.errors(include_url=False):
        if detail["type"] not in skip:
            found.setdefault(real_path(data, detail["loc"], str(detail["type"])), []).append(detail)
    for path, details in found.items():
        if all(str(detail["type"]).endswith("_type") for detail in details) and _has_deeper(path, list(found)):
            continue  # another branch of a union fits better, and says what is wrong further down
        yield problem_of(model, data, path, details)


def _has_deeper(path: DocumentPath, others: Sequence[DocumentPath]) -> bool:
    return any(len(other) > len(path) and other[: len(path)] == path for other in others)


def real_path(data: JSON, loc: Sequence[str | int], kind: str) -> DocumentPath:
    """Pydantic's location without the names of union branches and `[key]`, which are not in the data."""
    path: list[str | int] = []
    here: Any = data
    for index, part in enumerate(loc):
        inside = (isinstance(here, dict) and part in here) or (
            isinstance(here, list) and isinstance(part, int) and part < len(here)
        )
        if inside:
            here = here[part]
            path.append(part)
        elif kind == "missing" and index == len(loc) - 1:
            path.append(part)
    return tuple(path)
