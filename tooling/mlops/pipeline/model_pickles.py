"""Pickles are code: a model that holds one is registered only where `mlops.yaml` allows its format and every class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import Blocked, Diagnostic, Location
from mlops.pipeline.model_files import Content, Source
from mlops.resolve import Repository


@dataclass(frozen=True, slots=True)
class _Policy:
    formats: frozenset[str]
    classes: frozenset[str]


def refuse_pickles(content: Content, repository: Repository) -> None:
    """Look into every file that may hold a pickle; nothing of it is run.

    Raises:
        Blocked: The policy allows it not, or it cannot be understood; every such file.
    """
    formats = repository.formats
    classes = frozenset(str(name) for options in formats.values() for name in options["classes"])
    policy = _Policy(frozenset(formats) | {"skops"}, classes)
    problems = list(_problems(content.files, policy))
    if problems:
        raise Blocked(*problems)


def _problems(files: Iterable[Source], policy: _Policy) -> Iterator[Diagnostic]:
    from mlops_scoring import pickles  # noqa: PLC0415 - only registering looks into model files

    for file in files:
        if not pickles.may_hold_pickle(file.path):
            continue
        found = pickles.scan(file.path, policy)
        if found:
            detail = "; ".join(found).replace("pickle_policy.", "models.formats ")
            yield Diagnostic(
                "Pickle is not allowed", f"{file.name}: {detail}.", Location(str(file.path)), _todo(file.path, policy)
            )


def _todo(path: Path, policy: _Policy) -> str:
    from mlops_scoring import pickles  # noqa: PLC0415 - as above

    try:
        needed = pickles.needed_classes(path)
    except ValueError:
        return "Save the model in a format that runs no code, such as ONNX, safetensors or skops."
    kind = {".joblib": "joblib", ".skops": "skops"}.get(path.suffix.lower(), "pickle")
    classes = ", ".join(sorted({*needed, *(policy.classes if kind in policy.formats else ())}))
    return (
        "If you trust where it comes from, allow it in mlops.yaml: "
        f"models: {{formats: {{{kind}: {{classes: [{classes}]}}}}}}. ONNX and safetensors need no such trust."
    )
