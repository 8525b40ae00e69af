"""Scanning: why a file is refused, without running anything of it."""

from __future__ import annotations

from pathlib import Path

from mlops_scoring.pickles.contents import names_in
from mlops_scoring.pickles.formats import Format, detect
from mlops_scoring.pickles.policy import CONTAINERS, Policy, problem_with
from mlops_scoring.pickles.standins import WRAPPER


def scan(path: str | Path, policy: Policy) -> list[str]:
    """Say why a file is refused.

    Args:
        path: The file.
        policy: What the repository allows.

    Returns:
        One sentence for each problem. Empty for a file whose every name is allowed, and for one that is known to hold
        no pickle. What cannot be understood is a problem.
    """
    path = Path(path)
    try:
        found = detect(path)
        if found is Format.INERT:
            return []
        if found is Format.UNKNOWN:
            return ["its format is not known"]
        names = _names(path, found)
    except Exception as error:  # noqa: BLE001 - whatever an odd file makes the readers raise, it is refused
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return [f"it cannot be read as what it seems to be ({reason}), so it is not loaded"]
    if names is None:
        return []
    problems = []
    if found is not Format.SKOPS and (needed := _policy_format(path, names)) not in policy.formats:
        problems.append(f"pickle_policy.formats does not list {needed}")
    return problems + [problem for name in sorted(names) if (problem := problem_with(name, policy))]


def needed_classes(path: str | Path) -> list[str]:
    """The names that a policy has to list for a file to pass, for a person to judge.

    Raises:
        ValueError: The file cannot be understood.
    """
    path = Path(path)
    try:
        return sorted((_names(path, detect(path)) or set()) - CONTAINERS)
    except Exception as error:  # noqa: BLE001 - as above
        raise ValueError(f"{path.name} cannot be read: {error}") from None


def _names(path: Path, found: Format) -> set[str] | None:
    with path.open("rb") as file:
        return names_in(file, path.name, found)


def _policy_format(path: Path, names: set[str]) -> str:
    """What the policy calls a file: by its name, and by its content where the name does not tell."""
    if path.suffix.lower() in {".pkl", ".pickle"}:
        return "pickle"
    return "joblib" if path.suffix.lower() == ".joblib" or WRAPPER in names else "pickle"
