"""`mlops model list|show|tag|delete|adopt|verify` and `mlops environment list|show`, over a real repository."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tests.features.workshop import Workshop, git

from mlops.errors import Blocked, InvalidRepository, MlopsError, NotFound
from mlops.loader import load
from mlops.pipeline.applying import ApplyRequest
from mlops.pipeline.models import (
    Edit,
    Search,
    State,
    adopt,
    delete,
    list_environments,
    list_models,
    show_environment,
    show_model,
    tag,
    verify,
)
from mlops.pipeline.registry_access import registry_of
from mlops.plan import Action
from mlops.resource import Address, Artifact, Kind, Resource, Spec

_YAML = """\
# yaml-language-server: $schema=../../schemas/model.schema.json
# Trained on a Sunday.
path: 1.onnx   # beside this file
sha256: {sha256}
description: 'A first try'   # be kind
tags:
    team: risk   # who answers the telephone
    stable: "yes"
properties: {{origin: paper}}
flavors: {{onnx: {{}}}}
"""


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    workshop = Workshop.begin(tmp_path / "repository")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    workshop.write({"models/fraud/1.onnx": "weights", "models/fraud/1.yaml": _YAML.format(sha256=sha256)})
    for reference in ("fraud:2", "fraud:10", "churn:1"):
        workshop.add_model(reference)
    workshop.commit("Declare")
    return workshop


def outside(workshop: Workshop, files: dict[str, bytes], reference: str = "fraud:11") -> Resource:
    """A version that a training job put into the registry, with no YAML in Git."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    lines = "".join(sorted(f"{sha256}  {name}\n" for name, sha256 in digests.items()))
    whole = next(iter(digests.values())) if len(files) == 1 else hashlib.sha256(lines.encode()).hexdigest()
    artifacts = []
    for name, content in files.items():
        path = workshop.root.parent / "job" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        artifacts.append(Artifact(digests[name], path.as_uri()))
    spec: Spec = {
        "type": "custom_model",
        "tags": {"job": "7"},
        "metrics": {"auc": 0.9},
        "files": digests,
        "sha256": whole,
    }
    resource = Resource(Address(Kind.MODEL, reference), "registry", spec, artifacts=tuple(artifacts))
    with workshop.opened() as workspace:
        registry = registry_of(workspace)
        registry.put_many([(resource, None)])
        registry.close()
    return resource


def summaries(error: pytest.ExceptionInfo[MlopsError]) -> list[str]:
    return [diagnostic.summary for diagnostic in error.value.diagnostics]


def found(workshop: Workshop, search: Search | None = None) -> list[str]:
    with workshop.opened() as workspace:
        return [version.reference for version in list_models(workspace, search)]


def test_versions_are_listed_by_name_and_number(workshop: Workshop) -> None:
    assert found(workshop) == ["churn:1", "fraud:1", "fraud:2", "fraud:10"]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (Search(name="fraud"), ["fraud:1", "fraud:2", "fraud:10"]),
        (Search(name="frau"), []),
        (Search(tags=("team=risk",)), ["fraud:1"]),
        (Search(tags=("team",)), ["fraud:1"]),
        (Search(tags=("team=", "stable=yes")), []),
        (Search(tags=("team=risk", "stable=yes")), ["fraud:1"]),
        (Search(properties=("origin=paper",)), ["fraud:1"]),
        (Search(properties=("team=risk",)), []),
        (Search(text="FIRST risk"), ["fraud:1"]),
        (Search(text="churn"), ["churn:1"]),
        (Search(text="first churn"), []),
        (Search(text="onnx"), ["churn:1", "fraud:1", "fraud:2", "fraud:10"]),
        (Search(name="fraud", text="onnx", tags=("team",)), ["fraud:1"]),
    ],
)
def test_versions_are_found_by_name_tag_property_and_text(
    workshop: Workshop, search: Search, expected: list[str]
) -> None:
    assert found(workshop, search) == expected


def test_states_tell_how_git_and_registry_agree(workshop: Workshop) -> None:
    with workshop.opened() as workspace:
        assert show_model(workspace, "fraud:1").version.state is State.DECLARED
    workshop.apply("dev")
    outside(workshop, {"model.bin": b"outside"})
    with workshop.opened() as workspace:
        tag(workspace, "fraud:2", Edit(set_tags={"good": "yes"}))
        metrics = workspace.root / "models/fraud/10.yaml"
        metrics.write_text(metrics.read_text() + "metrics: {auc: 1.0}\n")
    with workshop.opened() as workspace:
        versions = {version.reference: version for version in list_models(workspace)}
    assert {reference: version.state for reference, version in versions.items()} == {
        "churn:1": State.REGISTERED,
        "fraud:1": State.REGISTERED,
        "fraud:2": State.CHANGED,
        "fraud:10": State.DIFFERS,
        "fraud:11": State.UNDECLARED,
    }
    assert versions["fraud:11"].file is None
    assert not versions["fraud:11"].ours
    assert versions["fraud:1"].registered is not None


def test_a_version_is_shown_with_its_users(workshop: Workshop) -> None:
    workshop.declare("shop-front", "dev", "fraud:1")
    workshop.apply("dev")
    workshop.declare("shop-front", "dev", "fraud:2")
    with workshop.opened() as workspace:
        used = show_model(workspace, "azureml:fraud:1")
        assert used.version.file == "models/fraud/1.yaml"
        assert any("dev last applied it" in user for user in used.users)
        assert any("as dev declares it" in user for user in show_model(workspace, "fraud:2").users)
        assert show_model(workspace, "churn:1").users == ()


@pytest.mark.parametrize(("reference", "said"), [("frod:1", "There is no"), ("fraud", "names no version"), ("", "")])
def test_what_is_not_there_is_not_shown(workshop: Workshop, reference: str, said: str) -> None:
    with workshop.opened() as workspace, pytest.raises(NotFound) as error:
        show_model(workspace, reference)
    assert said in str(error.value)


def test_a_misspelt_version_is_guessed(workshop: Workshop) -> None:
    with workshop.opened() as workspace, pytest.raises(NotFound) as error:
        show_model(workspace, "frud:1")
    assert 'Did you mean "fraud:1"?' in str(error.value)


def test_environments_are_listed_and_shown(workshop: Workshop) -> None:
    workshop.declare("shop-front", "dev", "fraud:1")
    workshop.apply("dev")
    with workshop.opened() as workspace:
        assert [(v.reference, v.state) for v in list_environments(workspace)] == [("plain:1", State.REGISTERED)]
        assert any("shop-front" in user for user in show_environment(workspace, "plain:1").users)
        with pytest.raises(NotFound):
            show_environment(workspace, "fraud:1")


def test_tags_are_edited_and_nothing_else_of_the_file(workshop: Workshop) -> None:
    path = workshop.root / "models/fraud/1.yaml"
    before = path.read_text()
    with workshop.opened() as workspace:
        edited = tag(workspace, "fraud:1", Edit({"team": "credit", "since": "2026"}, ["stable"], "A second try"))
    assert (edited.file, edited.changed) == ("models/fraud/1.yaml", True)
    expected = (
        before.replace("team: risk   #", "team: credit #")
        .replace('    stable: "yes"\n', "    since: '2026'\n")
        .replace("'A first try'   #", "'A second try'  #")
    )
    assert path.read_text() == expected
    assert git(workshop.root, "diff", "--numstat").split()[:2] == ["3", "3"]


def test_an_edit_that_changes_nothing_leaves_the_file_alone(workshop: Workshop) -> None:
    path = workshop.root / "models/fraud/1.yaml"
    before = path.stat()
    with workshop.opened() as workspace:
        assert not tag(workspace, "fraud:1", Edit({"team": "risk"}, description="A first try")).changed
    assert path.stat() == before


def test_the_last_tag_takes_its_mapping_along_and_the_first_brings_one(workshop: Workshop) -> None:
    with workshop.opened() as workspace:
        tag(workspace, "fraud:1", Edit(unset_tags=["team", "stable"], description=""))
        tag(workspace, "fraud:2", Edit({"team": "risk"}))
    models = load(workshop.root).models
    assert "tags" not in models["fraud:1"].data
    assert "description" not in models["fraud:1"].data
    assert models["fraud:2"].data["tags"] == {"team": "risk"}


def test_edits_that_cannot_be_made_change_nothing(workshop: Workshop) -> None:
    with workshop.opened() as workspace:
        with pytest.raises(NotFound) as error:
            tag(workspace, "fraud:1", Edit(unset_tags=["taem"]))
        assert 'Did you mean "team"?' in str(error.value)
        with pytest.raises(NotFound):
            tag(workspace, "fraud:3", Edit({"a": "b"}))
        with pytest.raises(InvalidRepository):
            tag(workspace, "fraud:1", Edit({"a": "b" * 5000}))
    assert git(workshop.root, "status", "--porcelain") == ""


def test_an_edit_is_planned_as_a_change_in_place(workshop: Workshop) -> None:
    workshop.apply("dev")
    with workshop.opened() as workspace:
        tag(workspace, "fraud:1", Edit({"team": "credit"}))
    changes = {str(c.address): c for s in workshop.plan("dev").sections for c in s.changes if c.action != Action.NONE}
    assert list(changes) == ["model/fraud:1"]
    assert changes["model/fraud:1"].action is Action.UPDATE


def test_a_used_version_is_not_deleted_and_every_user_is_named(workshop: Workshop) -> None:
    workshop.declare("shop-front", "dev", "fraud:1")
    workshop.declare("back-office", "prod", "fraud:1", compute="live")
    workshop.commit("Deploy")
    with workshop.opened() as workspace, pytest.raises(Blocked) as error:
        delete(workspace, "fraud:1")
    said = str(error.value)
    assert set(summaries(error)) == {"Model is in use"}
    assert "endpoint/shop-front@here" in said
    assert "endpoint/back-office@live" in said
    assert git(workshop.root, "status", "--porcelain") == ""


def test_a_version_that_still_serves_is_not_deleted(workshop: Workshop) -> None:
    workshop.declare("shop-front", "dev", "fraud:1")
    workshop.apply("dev")
    workshop.declare("shop-front", "dev", "fraud:2")
    with workshop.opened() as workspace, pytest.raises(Blocked) as error:
        delete(workspace, "fraud:1")
    assert "live in dev" in str(error.value)


def test_a_deleted_version_leaves_a_tombstone_and_its_number_is_never_used_again(workshop: Workshop) -> None:
    workshop.apply("dev")
    with workshop.opened() as workspace:
        gone = delete(workspace, "fraud:10", "Trained on the wrong table")
        assert gone.removed == ("models/fraud/10.yaml", "models/fraud/10.onnx")
    for path in gone.removed:
        assert not (workshop.root / path).exists()
    tombstones = (workshop.root / "models/fraud/tombstones.yaml").read_text()
    assert "Trained on the wrong table" in tombstones
    assert "$schema=../../schemas/tombstones.schema.json" in tombstones
    with workshop.opened() as workspace:
        delete(workspace, "fraud:2")
    assert load(workshop.root).tombstones == {"fraud": frozenset({"10", "2"})}
    assert (workshop.root / "models/fraud/tombstones.yaml").read_text().startswith(tombstones)
    workshop.apply("dev", ApplyRequest(allow_deletes=2))
    assert found(workshop) == ["churn:1", "fraud:1"]
    workshop.add_model("fraud:10", "other content")
    with pytest.raises(InvalidRepository) as error:
        workshop.plan("dev")
    assert summaries(error) == ["Deleted version declared again"]


def test_content_that_another_version_names_stays(workshop: Workshop) -> None:
    other = (workshop.root / "models/fraud/2.yaml").read_text()
    workshop.write({"models/fraud/20.yaml": other})
    with workshop.opened() as workspace:
        assert delete(workspace, "fraud:2").removed == ("models/fraud/2.yaml",)
    load(workshop.root)


@pytest.mark.parametrize(
    "files",
    [{"model.bin": b"outside"}, {"MLmodel": b"flavors: {}", "data/model.bin": b"x"}, {"deep/model.bin": b"one"}],
    ids=["a file", "a folder", "a file in a folder"],
)
@pytest.mark.parametrize("limit", [0, 1000], ids=["content stays in the registry", "content beside the YAML"])
def test_an_adopted_version_is_declared_as_it_is_registered(
    workshop: Workshop, files: dict[str, bytes], limit: int
) -> None:
    resource = outside(workshop, files)
    with workshop.opened() as workspace:
        adopted = adopt(workspace, "fraud:11", beside_limit=limit)
        assert adopted.file == "models/fraud/11.yaml"
    with workshop.opened() as workspace:
        version = show_model(workspace, "fraud:11").version
        assert version.state is State.REGISTERED
        assert version.spec == resource.spec
    assert (workshop.root / "models/fraud/11").exists() == adopted.beside
    assert adopted.beside == (limit > 0 and "deep/model.bin" not in files)


def test_an_adopted_version_becomes_ours_with_the_next_apply(workshop: Workshop) -> None:
    outside(workshop, {"model.bin": b"outside"})
    with workshop.opened() as workspace:
        adopt(workspace, "fraud:11")
    workshop.commit("Adopt")
    workshop.apply("dev")
    with workshop.opened() as workspace:
        assert show_model(workspace, "fraud:11").version.ours


@pytest.mark.parametrize("more", ["", "metrics: {auc: 0.5}\n"], ids=["less is declared", "something else is declared"])
def test_a_version_of_other_content_is_never_taken_over(workshop: Workshop, more: str) -> None:
    resource = outside(workshop, {"model.bin": b"outside"})
    sha256 = resource.artifacts[0].sha256
    text = f"type: custom_model\nfiles: {{model.bin: {sha256}}}\nsha256: {sha256}\n{more}"
    workshop.write({"models/fraud/11.yaml": text})
    changes = {str(c.address): c for s in workshop.plan("dev").sections for c in s.changes}
    assert changes["model/fraud:11"].action is Action.BLOCKED
    assert "carries no stamp" in changes["model/fraud:11"].reason


def test_what_cannot_be_adopted_is_not(workshop: Workshop) -> None:
    workshop.write({"models/fraud/tombstones.yaml": 'versions: ["11"]\n'})
    outside(workshop, {"model.bin": b"outside"})
    with workshop.opened() as workspace:
        for reference, summary in (
            ("fraud:1", "Version is declared already"),
            ("fraud:11", "Version was deleted"),
            ("fraud:12", "No such version"),
        ):
            with pytest.raises(MlopsError) as error:
                adopt(workspace, reference)
            assert summaries(error) == [summary]


def test_what_is_in_the_way_of_an_adoption_stays(workshop: Workshop) -> None:
    outside(workshop, {"model.bin": b"outside"})
    workshop.write({"models/fraud/11/notes.txt": "mine"})
    with workshop.opened() as workspace, pytest.raises(Blocked) as error:
        adopt(workspace, "fraud:11")
    assert summaries(error) == ["Something is in the way"]
    assert (workshop.root / "models/fraud/11/notes.txt").read_text() == "mine"
    assert not (workshop.root / "models/fraud/11.yaml").exists()


def test_verify_compares_with_git_and_rebuilds(workshop: Workshop) -> None:
    workshop.apply("dev")
    with workshop.opened() as workspace:
        good = verify(workspace)
        assert (good.problems, good.rebuilt, good.registry.versions) == ((), None, 5)
        registry_of(workspace).close()
    path = workshop.root / "models/fraud/2.yaml"
    path.write_text(path.read_text() + "metrics: {auc: 1.0}\n")
    (workshop.root / ".mlops/registry/index.sqlite3").write_bytes(b"")
    with workshop.opened() as workspace:
        assert "Registry index is damaged" in {problem.summary for problem in verify(workspace).problems}
        hashed: list[str] = []
        mended = verify(workspace, rebuild=True, progress=hashed.append)
        assert mended.rebuilt is not None
        assert mended.rebuilt.versions == 5
        assert len(hashed) == mended.registry.blobs == 4
        assert [p.summary for p in mended.problems] == ["Declared version differs from what is registered"]
        assert mended.problems[0].where is not None
        assert mended.problems[0].where.file == "models/fraud/2.yaml"


def test_content_is_restored_from_git(workshop: Workshop) -> None:
    workshop.apply("dev")
    blob = workshop.root / ".mlops/registry/sha256"
    sha256 = hashlib.sha256(b"weights").hexdigest()
    (blob / sha256[:2] / sha256[2:]).unlink()
    with workshop.opened() as workspace:
        assert show_model(workspace, "fraud:1").version.problem
        mended = verify(workspace, rebuild=True)
        assert mended.rebuilt is not None
        assert mended.rebuilt.restored == (sha256,)
        assert mended.problems == ()
