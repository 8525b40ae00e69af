"""The options of computes against the models that their drivers give."""

from __future__ import annotations

from collections.abc import Mapping

from mlops.loader.documents import Documents
from mlops.resolve import ComputeType, unknown_type
from mlops.resolve.repository import PROJECT_FILE, Data
from mlops.resource import digest
from mlops.schemas.problems import Problem


def check_computes(documents: Documents, computes: Mapping[str, Data], types: Mapping[str, ComputeType]) -> None:
    """Check every declared compute; options that passed before are not checked again."""
    known: dict[str, ComputeType] = {}
    for name, declared in computes.items():
        kind = declared["type"]
        if kind not in known:
            if kind not in types:
                documents.refuse((PROJECT_FILE,), [unknown_type(name, kind, types)])
                continue
            known[kind] = types[kind]
        options = {key: value for key, value in declared.items() if key != "type"}
        key = f"options:{kind}:{known[kind].version}:{digest(options)}"
        if documents.cache.document(key) is not True:
            _check(documents, name, known[kind], options, key)


def _check(documents: Documents, name: str, kind: ComputeType, options: Data, key: str) -> None:
    from mlops.schemas.check import check_model  # noqa: PLC0415 - imports pydantic

    problems = check_model(kind.spec(), dict(options)).problems
    if not problems:
        documents.cache.keep_document(key, True)
    documents.refuse((PROJECT_FILE,), [_below(name, problem) for problem in problems])


def _below(name: str, problem: Problem) -> Problem:
    path = ("computes", name, *problem.path)
    return Problem(path, problem.summary, problem.detail, problem.todo, problem.command, at_key=problem.at_key)
