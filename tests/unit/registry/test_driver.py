"""Three verbs over an index: what is registered, what may change of it, and what never may."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path, PosixPath
from typing import Any

import pytest
from tests.unit.registry.bench import Bench

from mlops.diff import diff
from mlops.driver import Scope
from mlops.drivers.registry import RegistryDriver
from mlops.errors import TargetError
from mlops.resource import SHARED, Address, Artifact, FieldEffect, HealthState, Kind, Resource


def summary(error: pytest.ExceptionInfo[TargetError]) -> str:
    return error.value.diagnostics[0].summary


def test_what_was_put_is_observed_by_another_driver(bench: Bench) -> None:
    model = bench.model(tags={"team": "risk"}, metrics={"auc": 0.91})
    environment = bench.environment()
    bench.put(model, environment)
    seen = bench.seen()
    assert list(seen) == ["environment/onnx:1", "model/fraud:1"]
    assert seen["model/fraud:1"].spec == model.spec
    assert seen["model/fraud:1"].stamp == bench.stamp(model)
    assert seen["model/fraud:1"].health.state is HealthState.HEALTHY
    assert seen["environment/onnx:1"].spec == environment.spec


def test_observing_makes_nothing(bench: Bench) -> None:
    assert bench.seen() == {}
    assert list(bench.root.iterdir()) == []


def test_a_registry_that_is_begun_between_two_looks_is_sound(bench: Bench) -> None:
    """Who looks sees no index, then the journal of one that came in between."""
    driver = bench.driver()

    class Begun(PosixPath):
        """A path at which somebody looks when another has just registered a model."""

        def exists(self) -> bool:
            bench.put(bench.model())
            return super().exists()

    driver.index.journal.path = Begun(driver.index.journal.path)
    assert list(bench.seen(driver)) == ["model/fraud:1"]


def test_only_narrows_what_is_observed(bench: Bench) -> None:
    driver = bench.put(*(bench.model(f"fraud:{n}") for n in range(1, 5)))
    only = frozenset({Address.parse("model/fraud:3"), Address.parse("model/absent:1")})
    assert [str(o.address) for o in driver.observe(only)] == ["model/fraud:3"]
    assert list(driver.observe(frozenset())) == []


def test_putting_twice_changes_nothing_and_keeps_the_time(bench: Bench) -> None:
    model = bench.model()
    driver = bench.put(model)
    journal = (bench.folder / "journal.jsonl").read_bytes()
    first = bench.seen()["model/fraud:1"]
    assert driver.put(model, bench.stamp(model)) == first.outputs
    assert bench.seen()["model/fraud:1"] == first
    assert (bench.folder / "journal.jsonl").read_bytes() == journal


def test_tags_and_description_may_change(bench: Bench) -> None:
    bench.put(bench.model(tags={"a": "1"}))
    edited = bench.model(tags={"b": "2"}, description="Better")
    bench.put(edited)
    seen = bench.seen()["model/fraud:1"]
    assert seen.spec == edited.spec
    assert seen.stamp == bench.stamp(edited)


@pytest.mark.parametrize("other", [{"content": b"other"}, {"metrics": {"auc": 1}}, {"type": "mlflow_model"}])
def test_anything_else_may_not_change(bench: Bench, other: dict[str, Any]) -> None:
    driver = bench.put(bench.model())
    before = bench.seen()
    changed = bench.model(**other)
    with pytest.raises(TargetError) as error:
        driver.put(changed, bench.stamp(changed))
    assert summary(error) == "Version is immutable"
    assert bench.seen() == before


def test_rules_say_of_every_field_what_the_registry_does(bench: Bench) -> None:
    live = bench.model(tags={"a": "1"}, metrics={"auc": 0.9}, anything={"new": 1}).spec
    wanted = bench.model(
        content=b"other", tags={"a": "2"}, description="x", metrics={"auc": 0.8}, anything={"new": 2}
    ).spec
    effects = {c.path: c.effect for c in diff(wanted, None, live, RegistryDriver.rules)}
    assert effects == {
        'files["model.bin"]': FieldEffect.IMMUTABLE,
        "sha256": FieldEffect.IMMUTABLE,
        "tags.a": FieldEffect.IN_PLACE,
        "description": FieldEffect.IN_PLACE,
        "metrics.auc": FieldEffect.IMMUTABLE,
        "anything.new": FieldEffect.IMMUTABLE,
    }
    assert all(rule.reason for rule in RegistryDriver.rules)


def test_a_deleted_number_comes_back_only_with_its_own_content(bench: Bench) -> None:
    model = bench.model()
    driver = bench.put(model)
    driver.delete(model.address)
    driver.delete(model.address)
    assert bench.seen() == {}
    assert driver.taken(Kind.MODEL, "fraud") == {"1"}
    other = bench.model(content=b"other")
    with pytest.raises(TargetError) as error:
        bench.driver().put(other, bench.stamp(other))
    assert summary(error) == "Version number was used before"
    bench.put(model)
    assert list(bench.seen()) == ["model/fraud:1"]


def test_taken_numbers_are_of_one_name_only(bench: Bench) -> None:
    driver = bench.put(bench.model("fraud:1"), bench.model("fraud:10"), bench.model("fraud2:3"), bench.model("frau:4"))
    bench.put(bench.environment("fraud:7"))
    assert driver.taken(Kind.MODEL, "fraud") == {"1", "10"}
    assert driver.taken(Kind.ENVIRONMENT, "fraud") == {"7"}


def test_content_that_is_nowhere_is_named(bench: Bench) -> None:
    model = bench.model()
    (bench.root / model.artifacts[0].source).unlink()
    with pytest.raises(TargetError) as error:
        bench.driver().put(model, bench.stamp(model))
    assert summary(error) == "Content cannot be found"
    assert "model.bin" in error.value.diagnostics[0].detail
    assert bench.seen() == {}


def test_content_without_an_artifact_is_taken_from_the_blobs(bench: Bench) -> None:
    model = bench.model()
    driver = bench.driver()
    driver.blobs.add(bench.root / model.artifacts[0].source, model.artifacts[0].sha256)
    bare = Resource(model.address, "registry", model.spec)
    driver.put(bare, bench.stamp(bare))
    assert bench.seen()["model/fraud:1"].health.state is HealthState.HEALTHY


def test_content_is_taken_from_a_file_address(bench: Bench, tmp_path: Path) -> None:
    model = bench.model()
    outside = tmp_path / "out side.bin"
    outside.write_bytes(b"weights")
    (bench.root / model.artifacts[0].source).unlink()
    moved = Resource(
        model.address, "registry", model.spec, artifacts=(Artifact(model.artifacts[0].sha256, outside.as_uri()),)
    )
    bench.put(moved)
    assert bench.blob().read_bytes() == b"weights"


def test_a_file_that_is_not_the_declared_one_is_refused(bench: Bench) -> None:
    model = bench.model()
    (bench.root / model.artifacts[0].source).write_bytes(b"changed since it was declared")
    with pytest.raises(TargetError) as error:
        bench.driver().put(model, bench.stamp(model))
    assert summary(error) == "File differs from its digest"
    assert bench.seen() == {}
    assert not bench.blob().exists()


def test_missing_content_makes_a_version_unhealthy_and_a_put_mends_it(bench: Bench) -> None:
    model = bench.model()
    driver = bench.put(model)
    bench.blob().unlink()
    for seen in (bench.seen()["model/fraud:1"], next(iter(driver.observe(frozenset({model.address}))))):
        assert seen.health.state is HealthState.UNHEALTHY
        assert "model.bin" in seen.health.reason
    driver.put(model, bench.stamp(model))
    assert bench.seen()["model/fraud:1"].health.state is HealthState.HEALTHY


def test_a_version_without_a_stamp_is_adopted_by_putting_the_same_content(bench: Bench) -> None:
    model = bench.model()
    driver = bench.driver()
    driver.put_many([(model, None)])
    assert bench.seen()["model/fraud:1"].stamp is None
    driver.put(model, bench.stamp(model))
    assert bench.seen()["model/fraud:1"].stamp == bench.stamp(model)
    driver.put_many([(model, None)])
    assert bench.seen()["model/fraud:1"].stamp == bench.stamp(model)


def test_another_projects_versions_are_not_ours(bench: Bench) -> None:
    model = bench.model()
    other = bench.driver("other")
    other.put(model, bench.stamp(model, "other"))
    assert bench.seen()["model/fraud:1"].stamp is None
    driver = bench.driver()
    attempts: list[Callable[[], object]] = [
        lambda: driver.put(model, bench.stamp(model)),
        lambda: driver.delete(model.address),
    ]
    for attempt in attempts:
        with pytest.raises(TargetError) as error:
            attempt()
        assert summary(error) == "Version belongs to another project"
    assert bench.seen(other)["model/fraud:1"].stamp == bench.stamp(model, "other")


def test_many_at_once_are_all_registered_or_none(bench: Bench) -> None:
    good = [bench.model(f"fraud:{n}", content=b"%d" % n) for n in range(300)]
    driver = bench.put(bench.model("taken:1"))
    bad = bench.model("taken:1", content=b"other")
    with pytest.raises(TargetError):
        driver.put_many([(m, bench.stamp(m)) for m in [*good, bad]])
    assert list(bench.seen()) == ["model/taken:1"]
    outputs = driver.put_many([(m, bench.stamp(m)) for m in good])
    assert len(outputs) == 300
    assert len(bench.seen()) == 301
    assert all(o.health.state is HealthState.HEALTHY for o in driver.observe())


def test_other_kinds_are_no_business_of_a_registry(bench: Bench) -> None:
    endpoint = Resource(Address.parse("endpoint/fraud@local"), "registry", {})
    with pytest.raises(ValueError, match="not endpoint/fraud@local"):
        bench.driver().put(endpoint, bench.stamp(endpoint))


def test_the_path_option_moves_the_registry(bench: Bench) -> None:
    driver = RegistryDriver(Scope("project", SHARED, "registry", bench.root, {"path": "elsewhere"}))
    model = bench.model()
    driver.put(model, bench.stamp(model))
    driver.close()
    assert (bench.root / "elsewhere/index.sqlite3").is_file()
    assert not bench.folder.exists()


def test_threads_share_a_driver(bench: Bench) -> None:
    driver = bench.driver()
    models = [bench.model(f"fraud:{n}", content=b"%d" % n) for n in range(40)]
    errors: list[BaseException] = []

    def work(part: int) -> None:
        try:
            for model in models[part::8]:
                driver.put(model, bench.stamp(model))
                assert list(driver.observe(frozenset({model.address})))
        except BaseException as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    threads = [threading.Thread(target=work, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(bench.seen()) == 40


def test_reading_takes_one_query_however_much_there_is(bench: Bench) -> None:
    models = [bench.model(f"fraud:{n}", content=b"%d" % n) for n in range(50)]
    bench.driver().put_many([(m, bench.stamp(m)) for m in models])
    driver = bench.driver()
    queries: list[str] = []
    list(driver.observe(frozenset({models[0].address})))
    reader = driver.index._reader  # noqa: SLF001 - the connection has no other way to be counted
    assert reader is not None
    reader.set_trace_callback(queries.append)
    assert len(list(driver.observe())) == 50
    assert len(queries) == 1


def test_reading_imports_nothing_heavy(bench: Bench) -> None:
    bench.put(bench.model())
    program = (
        "import sys; from pathlib import Path; from mlops.driver import Scope;"
        "from mlops.drivers.registry import RegistryDriver;"
        f"d = RegistryDriver(Scope('project', 'shared', 'registry', Path({str(bench.root)!r})));"
        "assert len(list(d.observe())) == 1; d.close();"
        "heavy = {'pydantic', 'tarfile', 'ctypes', 'ruamel.yaml', 'asyncio', 'git'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ)


def test_the_options_schema_is_there_when_asked_for() -> None:
    options = RegistryDriver.Spec.model_validate({"type": "embedded"})
    assert options.model_dump() == {"type": "embedded", "path": ".mlops/registry"}
