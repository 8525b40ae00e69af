"""What cannot be resolved: every problem once, at its line, with what to do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from pydantic import BaseModel

from mlops.errors import Diagnostic, InvalidRepository, NotFound
from mlops.resolve import ComputeType, Repository, Resolved, resolve, survey

Declare = Callable[[Mapping[str, str | bytes | None]], Repository]

MEMORY = ComputeType(lambda: BaseModel)
TYPES = {"memory": MEMORY}
DEV, BASE, PROD = "endpoints/fraud/dev.yaml", "endpoints/fraud/endpoint.yaml", "endpoints/fraud/prod.yaml"


def sha(content: bytes | str) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def with_code(script: str) -> str:
    code = f"code_configuration: {{code: src, scoring_script: {script}}}"
    return f"deployments:\n  blue:\n    environment: onnx:1\n    {code}\n"


def with_sample(expected: str) -> str:
    sample = f"sample_request: {{request: s, expected: {expected}}}"
    return f"compute: laptop\ndeployments: {{blue: {{model: fraud:1}}}}\n{sample}\n"


def dev(repository: Repository) -> Resolved:
    return resolve(repository, "dev", TYPES)


def problems(repository: Repository, types: Mapping[str, ComputeType] = TYPES) -> tuple[Diagnostic, ...]:
    with pytest.raises(InvalidRepository) as error:
        resolve(repository, "dev", types)
    return error.value.diagnostics


def the_problem(repository: Repository, types: Mapping[str, ComputeType] = TYPES) -> Diagnostic:
    found = problems(repository, types)
    assert len(found) == 1, found
    assert found[0].detail
    assert found[0].todo or found[0].command
    return found[0]


@pytest.mark.parametrize("name", ["1.joblib", "1.pkl", "1.PICKLE"])
def test_a_pickle_that_no_policy_allows(declare: Declare, name: str) -> None:
    model = f"path: {name}\nsha256: {sha(b'weights')}\nflavors: {{sklearn: {{}}}}\n"
    problem = the_problem(declare({"models/fraud/1.yaml": model, f"models/fraud/{name}": b"weights"}))
    assert (str(problem.where), problem.summary) == ("models/fraud/1.yaml:1:7", "Format is not allowed")
    assert "models: {formats: {" in problem.todo


CASES: Mapping[str, tuple[Mapping[str, str | bytes | None], str, str]] = {
    "sha256 differs": ({"models/fraud/1.onnx": b"edited"}, "models/fraud/1.yaml:2:9", "Content has another sha256"),
    "model not found": ({"models/fraud/1.onnx": None}, "models/fraud/1.yaml:1:7", "File not found"),
    "model outside": (
        {"models/fraud/1.yaml": f"path: ../../../x\nsha256: {'a' * 64}\n"},
        "models/fraud/1.yaml:1:7",
        "Path leaves the repository",
    ),
    "LFS pointer": (
        {"models/fraud/1.onnx": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"},
        "models/fraud/1.yaml:1:7",
        "Git LFS pointer",
    ),
    "files do not add up": (
        {"models/fraud/1.yaml": f"files: {{a: {'a' * 64}}}\nsha256: {'b' * 64}\nflavors: {{onnx: {{}}}}\n"},
        "models/fraud/1.yaml:2:9",
        "Content has another sha256",
    ),
    "deleted version declared": (
        {"models/fraud/tombstones.yaml": "versions: ['1']\n"},
        "models/fraud/1.yaml",
        "Deleted version declared again",
    ),
    "deleted version named": (
        {
            "models/fraud/tombstones.yaml": "versions: ['7']\n",
            DEV: "compute: laptop\ndeployments:\n  blue: {model: fraud:7}\n",
        },
        f"{DEV}:3:17",
        "Deleted version",
    ),
    "unknown compute": (
        {DEV: "compute: lapotp\ndeployments: {blue: {model: fraud:1}}\n"},
        f"{DEV}:1:10",
        "Unknown compute",
    ),
    "no way to serve": (
        {"models/fraud/1.yaml": f"path: 1.onnx\nsha256: {sha(b'weights')}\n"},
        f"{DEV}:3:17",
        "Nothing says how to serve the model",
    ),
    "code not found": (
        {BASE: with_code("s.py")},
        f"{BASE}:4:32",
        "File not found",
    ),
    "code is a file": (
        {
            BASE: with_code("s.py"),
            "endpoints/fraud/src": "",
        },
        f"{BASE}:4:32",
        "Not a folder",
    ),
    "script not found": (
        {
            BASE: with_code("scor.py"),
            "endpoints/fraud/src/score.py": "",
        },
        f"{BASE}:4:53",
        "File not found",
    ),
    "sample not found": (
        {DEV: with_sample("1")},
        f"{DEV}:3:27",
        "File not found",
    ),
    "sample is a folder": (
        {
            DEV: with_sample("1"),
            "endpoints/fraud/s/a": "",
        },
        f"{DEV}:3:27",
        "Not a file",
    ),
    "answer is no JSON": (
        {
            DEV: with_sample("a"),
            "endpoints/fraud/s": "",
            "endpoints/fraud/a": "[1,",
        },
        f"{DEV}:3:40",
        "Not JSON",
    ),
    "answer holds NaN": (
        {
            DEV: with_sample("a"),
            "endpoints/fraud/s": "",
            "endpoints/fraud/a": "[NaN]",
        },
        f"{DEV}:3:40",
        "Not JSON",
    ),
    "answer repeats a key": (
        {
            DEV: with_sample("a"),
            "endpoints/fraud/s": "",
            "endpoints/fraud/a": '{"a":1,"a":2}',
        },
        f"{DEV}:3:40",
        "Not JSON",
    ),
    "answer is deep": (
        {
            DEV: with_sample("a"),
            "endpoints/fraud/s": "",
            "endpoints/fraud/a": "[" * 100_000,
        },
        f"{DEV}:3:40",
        "Not JSON",
    ),
    "answer is a folder": (
        {
            DEV: with_sample("a"),
            "endpoints/fraud/s": "",
            "endpoints/fraud/a/b": "",
        },
        f"{DEV}:3:40",
        "Not a file",
    ),
    "conda cannot be locked": (
        {"environments/onnx/1.yaml": "conda_file: {dependencies: [cudatoolkit]}\n", "environments/onnx/1.lock": None},
        f"{BASE}:3:18",
        "Conda packages cannot be installed here",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_problem_is_said_once_at_its_place(declare: Declare, case: str) -> None:
    changes, where, summary = CASES[case]
    problem = the_problem(declare(changes))
    assert (str(problem.where), problem.summary) == (where, summary)


def test_two_stages_on_one_compute(declare: Declare) -> None:
    repository = declare({PROD: "compute: laptop\ndeployments: {blue: {model: fraud:1}}\n"})
    _, found = survey(repository, TYPES)
    assert [(str(p.where), p.summary) for p in found] == [
        (f"{PROD}:1:10", "Two stages deploy one endpoint on one compute")
    ]


def test_an_undeclared_stage(declare: Declare) -> None:
    with pytest.raises(NotFound, match='Did you mean "prod"'):
        resolve(declare({}), "prd", TYPES)


def test_an_unknown_type_of_compute(declare: Declare) -> None:
    found = problems(declare({}), {"memroy": MEMORY})
    assert [(p.summary, str(p.where), p.todo) for p in found] == [
        ("Unknown compute type", f"mlops.yaml:{line}:{column}", 'Did you mean "memroy"?')
        for line, column in ((3, 18), (4, 17))
    ]


TRITON = f"path: 1.onnx\nsha256: {sha(b'weights')}\ntype: triton_model\nflavors: {{onnx: {{}}}}\n"
REFUSED = {
    "deployments.*.scale_settings": "Set instance_count.",
    "deployments.*.model.type=triton_model": "There is no Triton here.",
    "deployments.*.environment.image": "There are no images here.",
    "deployments.*.environment.unlocked": "Lock it.",
    "protect=true": "Nothing is protected here.",
}


@pytest.mark.parametrize(
    ("changes", "where", "todo"),
    [
        (
            {DEV: "compute: laptop\ndeployments:\n  blue: {model: fraud:1, scale_settings: {type: default}}\n"},
            f"{DEV}:3:26",
            "Set instance_count.",
        ),
        (
            {"models/fraud/1.yaml": TRITON},
            f"{DEV}:3:10",
            "There is no Triton here.",
        ),
        (
            {"environments/onnx/1.yaml": "image: a:1\nrequirements: [numpy]\n"},
            f"{BASE}:3:5",
            "There are no images here.",
        ),
        (
            {DEV: "compute: laptop\ndeployments: {blue: {model: fraud:1}}\nprotect: true\n"},
            f"{DEV}:3:1",
            "Nothing is protected here.",
        ),
    ],
)
def test_what_a_compute_refuses(declare: Declare, changes: Mapping[str, str], where: str, todo: str) -> None:
    repository = declare(changes)
    dev(repository)
    problem = the_problem(repository, {"memory": replace(MEMORY, refused=REFUSED)})
    assert (str(problem.where), problem.summary, problem.todo) == (where, "Not enforced by the compute", todo)


@pytest.mark.parametrize(("count", "refused"), [(50, False), (51, True)])
def test_a_compute_can_refuse_more_than_it_takes(declare: Declare, count: int, *, refused: bool) -> None:
    stage = f"compute: laptop\ndeployments:\n  blue: {{model: fraud:1, instance_count: {count}}}\n"
    types = {"memory": replace(MEMORY, refused={"deployments.*.instance_count>50": "Write 50 or less."})}
    repository = declare({DEV: stage})
    if not refused:
        assert resolve(repository, "dev", types).resources
        return
    problem = the_problem(repository, types)
    assert (problem.summary, problem.detail) == ("More than the compute takes", "laptop takes 50 at most.")
    assert (str(problem.where), problem.todo) == (f"{DEV}:3:42", "Write 50 or less.")


def test_what_sends_to_azure_monitor_has_to_be_in_the_environment(declare: Declare) -> None:
    stage = "compute: laptop\ndeployments:\n  blue: {model: fraud:1, app_insights_enabled: true}\n"
    problem = the_problem(declare({DEV: stage}))
    assert (str(problem.where), problem.summary) == (f"{DEV}:3:26", "Environment has no exporter")
    assert "onnx:1" in problem.detail
    assert "azure-monitor-opentelemetry-exporter" in problem.todo
    assert resolve(declare({DEV: stage.replace("true", "false")}), "dev", TYPES).resources


def test_an_environment_without_lock_can_be_refused(declare: Declare) -> None:
    repository = declare({"environments/onnx/1.yaml": "image: a:1\n", "environments/onnx/1.lock": None})
    refused = {"deployments.*.environment.unlocked": "Lock it."}
    problem = the_problem(repository, {"memory": replace(MEMORY, refused=refused)})
    assert (str(problem.where), problem.todo) == (f"{BASE}:3:18", "Lock it.")
    assert problem.detail == "laptop installs what a lock says, and the environment of blue has none."


def test_an_environment_that_conda_alone_could_make_is_refused_once(declare: Declare) -> None:
    conda = "conda_file: {dependencies: [cudatoolkit=11]}\n"
    repository = declare({"environments/onnx/1.yaml": conda, "environments/onnx/1.lock": None})
    refused = {"deployments.*.environment.unlocked": "Lock it."}
    problem = the_problem(repository, {"memory": replace(MEMORY, refused=refused)})
    assert problem.summary == "Conda packages cannot be installed here"


def test_other_values_are_not_refused(declare: Declare) -> None:
    types = {"memory": replace(MEMORY, refused=REFUSED)}
    stage = "compute: laptop\ndeployments: {blue: {model: fraud:1}}\nprotect: false\n"
    assert resolve(declare({DEV: stage}), "dev", types).resources


@pytest.mark.parametrize("traffic", ["none", "fleet"])
@pytest.mark.parametrize(
    ("extra", "where", "summary"),
    [
        ("rollout: {strategy: canary, weights: [10]}\n", f"{DEV}:3:21", "Rollout that the compute cannot do"),
        ("rollout: {strategy: blue_green}\n", f"{DEV}:3:21", "Rollout that the compute cannot do"),
    ],
)
def test_a_rollout_needs_a_compute_that_can_split_traffic(
    declare: Declare, traffic: str, extra: str, where: str, summary: str
) -> None:
    repository = declare({DEV: f"compute: laptop\ndeployments: {{blue: {{model: fraud:1}}}}\n{extra}"})
    problem = the_problem(repository, {"memory": replace(MEMORY, traffic=traffic)})
    assert (str(problem.where), problem.summary) == (where, summary)


def test_a_split_needs_a_compute_that_can_split(declare: Declare) -> None:
    deployments = "deployments:\n  blue: {model: fraud:1}\n  green: {model: fraud:1, environment: onnx:1}\n"
    repository = declare({DEV: f"compute: laptop\n{deployments}traffic: {{blue: 90, green: 10}}\n"})
    problem = the_problem(repository, {"memory": replace(MEMORY, traffic="none")})
    assert (str(problem.where), problem.summary) == (f"{DEV}:5:10", "Traffic that the compute cannot split")
    assert dev(repository).resources


def test_all_problems_of_a_stage_and_of_shared_are_found_at_once(declare: Declare) -> None:
    repository = declare(
        {
            "models/fraud/1.onnx": b"edited",
            "environments/onnx/1.yaml": "requirements: [scipy]\n",
            DEV: "compute: lapotp\ndeployments: {blue: {model: fraud:1}}\nsample_request: {request: s, expected: 1}\n",
        }
    )
    assert [(p.where.file if p.where else "", p.summary) for p in problems(repository)] == [
        (DEV, "Unknown compute"),
        (DEV, "File not found"),
        ("environments/onnx/1.yaml", "Lock is out of date"),
        ("models/fraud/1.yaml", "Content has another sha256"),
    ]


def test_problems_of_another_stage_are_not_this_stages(declare: Declare) -> None:
    repository = declare({PROD: "compute: twoer\ndeployments: {blue: {model: fraud:1}}\n"})
    assert dev(repository).resources
    assert [p.summary for p in survey(repository, TYPES)[1]] == ["Unknown compute"]


@pytest.mark.parametrize("inside", ["certs/k.pem", "endpoints/fraud/../../certs/k.pem"])
def test_a_private_key_in_the_repository_is_refused(declare: Declare, inside: str) -> None:
    root = declare({}).root
    found = the_problem(declare({DEV: stage_with_key(f"{root}/{inside}")}))
    assert (found.summary, str(found.where)) == ("Private file in the repository", f"{DEV}:2:37")


def test_a_private_key_beside_what_git_never_tracks_is_not_refused(declare: Declare) -> None:
    root = declare({}).root
    found = resolve(declare({DEV: stage_with_key(f"{root}/.mlops/k.pem")}), "dev", TYPES)
    assert found.resources[0].spec["tls"] == {"certificate": "/tls/c.pem", "key": f"{root}/.mlops/k.pem"}


def stage_with_key(key: str) -> str:
    tls = f"{{certificate: /tls/c.pem, key: {key}}}"
    return f"compute: laptop\ntls: {tls}\ndeployments: {{blue: {{model: fraud:1}}}}\n"
