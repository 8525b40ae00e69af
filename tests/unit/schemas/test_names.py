"""The grammar of names."""

from __future__ import annotations

import re

import pytest

from mlops.schemas import names
from mlops.schemas.names import NameKind, check_name, is_name, parse_reference

VALID = {
    NameKind.PROJECT: ["abc", "digits-demo", "9lives", "a" * 24],
    NameKind.STAGE: ["dev", "prod", "a", "eu-west-1", "s" * 32],
    NameKind.COMPUTE: ["local-dev", "aks", "AKS-prod", "c1", "c" * 32],
    NameKind.ENDPOINT: ["fraud", "Fraud-2", "abc", "e" * 32],
    NameKind.DEPLOYMENT: ["blue", "green-2", "d" * 32],
    NameKind.MODEL: ["digits", "a", "9", "credit_risk.v2", "Model-1", "m" * 64],
    NameKind.ENVIRONMENT: ["onnx", "sklearn-1.4", "e" * 64],
    NameKind.VERSION: ["1", "42", "2024.01.31", "1.0.0-rc1", "v" * 32],
}
INVALID = {
    NameKind.PROJECT: ["", "ab", "a" * 25, "Digits", "a_b_c", "-abc", "abc-", "a--bc", "abc\n", "ábc"],
    NameKind.STAGE: ["", "Dev", "1st", "-dev", "dev-", "a--b", "s" * 33, "shared", "endpoint", "con", "a.b", "dev\n"],
    NameKind.COMPUTE: ["", "a", "1a", "a_b", "c" * 33, "registry", "a/b", "a@b"],
    NameKind.ENDPOINT: ["", "ab", "1abc", "a_bc", "ab--c", "abc-", "e" * 33, "nul", "COM1", "a@b", "a.b", "../abc"],
    NameKind.DEPLOYMENT: ["", "ab", "2blue", "blue.1", "blue_", "d" * 33, "aux"],
    NameKind.MODEL: [
        "",
        ".",
        "..",
        ".hidden",
        "-a",
        "_a",
        "a:b",
        "a/b",
        "a\\b",
        "a b",
        "m" * 65,
        "a.",
        "nul.txt",
        "a\n",
    ],
    NameKind.ENVIRONMENT: ["", "..", "e" * 65, "prn", "a@b"],
    NameKind.VERSION: ["", ".", "v" * 33, "1:2", "1/2", "latest", "tombstones", "Tombstones", "con", "1\n"],
}


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, found in VALID.items() for n in found])
def test_names_that_are_accepted(kind: NameKind, name: str) -> None:
    assert is_name(kind, name)
    assert check_name(kind, name) == name
    shortest, longest = names.lengths(kind)
    assert re.search(names.pattern(kind), name)
    assert shortest <= len(name) <= longest


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, found in INVALID.items() for n in found])
def test_names_that_are_refused(kind: NameKind, name: str) -> None:
    assert not is_name(kind, name)
    with pytest.raises(ValueError, match=str(kind)):
        check_name(kind, name)


def test_every_kind_of_name_has_both_tables() -> None:
    assert set(VALID) == set(INVALID) == set(NameKind)


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [("fraud:4", "fraud", "4"), ("azureml:fraud:4", "fraud", "4"), ("a.b-c:1.0-rc.1", "a.b-c", "1.0-rc.1")],
)
def test_references_in_our_form_and_in_that_of_azure(text: str, name: str, version: str) -> None:
    reference = parse_reference(text)
    assert (reference.name, reference.version) == (name, version)
    assert str(reference) == f"{name}:{version}"


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("fraud", "write fraud:VERSION"),
        ("fraud:", "write fraud:VERSION"),
        (":4", "cannot be the name of a model"),
        ("fraud@latest", "nobody can review it: write fraud:VERSION"),
        ("azureml:fraud@latest", "write fraud:VERSION"),
        ("azureml://registries/azureml/models/fraud/versions/4", "outside registry"),
        ("fraud:latest", "reserved"),
        ("fraud:4:5", "cannot be the name of a version"),
        ("", "names no version"),
    ],
)
def test_references_that_name_no_one_version(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=re.escape(advice)):
        parse_reference(text)


@pytest.mark.parametrize(("kind", "article"), [(NameKind.MODEL, "a"), (NameKind.ENVIRONMENT, "an")])
def test_a_refusal_is_a_sentence(kind: NameKind, article: str) -> None:
    for name in ("con", "a b", "-"):
        with pytest.raises(ValueError, match=f'^"{name}" cannot be the name of {article} {kind}[,:] '):
            check_name(kind, name)
