"""Planning, validating and help, as processes; beside `terraform plan` on as many resources."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from bench import repositories
from bench.measure import MLOPS, Sample, median, run
from bench.table import Row, at_most

PLAN = (MLOPS, "plan", "--stage", "dev", "--detailed-exitcode")
_OTHERS = 3
"""Objects beside the models: an environment and two endpoints."""


def estate(root: Path, objects: int) -> Path:
    """A repository with so many objects, all applied: models, an environment, and two live local endpoints."""
    files = repositories.project() | repositories.models(objects - _OTHERS)
    for name in ("first", "second"):
        files |= repositories.endpoint(name)
    repositories.write(root, files)
    repositories.commit(root)
    run((MLOPS, "apply", "--stage", "dev", "--yes"), root)
    return root


def close(root: Path) -> None:
    """Take down what an estate has live, and the estate."""
    run((MLOPS, "destroy", "--stage", "dev", "--yes"), root)
    shutil.rmtree(root)


def _cold(root: Path) -> Sample:
    return median(PLAN, root, 3, before=lambda _: shutil.rmtree(root / ".mlops/cache", ignore_errors=True))


def _edited(root: Path, command: tuple[str, ...], times: int) -> Sample:
    """Runs of a command, each after an edit of one model's description."""
    path = root / "models/m0/2.yaml"
    text = path.read_text(encoding="utf-8")

    def edit(number: int) -> None:
        path.write_text(text.replace("description: m0", f"description: edit {number}"), encoding="utf-8")

    sample = median(command, root, times, before=edit)
    path.write_text(text, encoding="utf-8")
    run(PLAN, root)
    return sample


def _terraform(root: Path, objects: int) -> Sample | None:
    """`terraform plan` over unchanged resources; None where there is no Terraform."""
    if shutil.which("terraform") is None:
        return None
    repositories.write(root, {"main.tf": repositories.terraform(objects)})
    run(("terraform", "init", "-input=false"), root)
    run(("terraform", "apply", "-auto-approve", "-input=false"), root)
    return median(("terraform", "plan", "-input=false", "-detailed-exitcode"), root, 5)


def _small(root: Path, terraform: Sample | None) -> Iterator[Row]:
    """What is measured with 1,000 objects."""
    warm, cold = median(PLAN, root, 9), _cold(root)
    if terraform is None:
        yield Row("plan, 1,000 unchanged objects, warm cache", f"{warm.seconds:.3f} s", "terraform is not installed")
    else:
        peer = f"{terraform.seconds:.3f} s, {terraform.peak:.0f} MiB, terraform plan"
        bound = 0.4 * terraform.seconds
        what = "plan, 1,000 unchanged objects, warm cache"
        yield at_most(what, warm.seconds, bound, "s", peer=peer, bar="at most 0.4 of the peer")
    yield Row("memory of that plan", f"{warm.peak:.0f} MiB", f"{terraform.peak:.0f} MiB" if terraform else "")
    yield at_most("the same, cold cache: more than warm", cold.seconds - warm.seconds, 1.5, "s")
    validate = _edited(root, (MLOPS, "validate"), 5)
    yield at_most("validate after an edit of one file among 1,000", validate.seconds, 0.6, "s")
    yield at_most("mlops --help", median((MLOPS, "--help"), root, 11).seconds, 0.25, "s")


def _large(root: Path, small: float) -> Iterator[Row]:
    """What is measured with 10,000 objects."""
    warm = median(PLAN, root, 5)
    bar = "at most 7 times 1,000 objects"
    yield at_most("plan, 10,000 unchanged objects, warm cache", warm.seconds, 7 * small, "s", bar=bar)
    yield at_most("memory of that plan", warm.peak, 300, "MiB", bar="under 300 MiB")
    changed = _edited(root, (MLOPS, "plan", "--stage", "dev"), 5)
    bar = "at most 1.5 times unchanged"
    yield at_most("plan, one changed object among 10,000", changed.seconds, 1.5 * warm.seconds, "s", bar=bar)


def rows(folder: Path) -> Iterator[Row]:
    """Everything about planning."""
    terraform = _terraform(folder / "terraform", 1000)
    root = estate(folder / "small", 1000)
    try:
        yield from _small(root, terraform)
        small = median(PLAN, root, 9).seconds
    finally:
        close(root)
    root = estate(folder / "large", 10_000)
    try:
        yield from _large(root, small)
    finally:
        close(root)
