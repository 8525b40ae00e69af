"""The fuse against mass deletion says what it counts and what was allowed."""

from __future__ import annotations

import pytest
from tests.features.workshop import Workshop

from mlops.errors import Blocked
from mlops.pipeline.applying import ApplyRequest

NAMES = ("one", "two", "three")


@pytest.mark.parametrize(
    ("allowed", "said"), [(None, "Allowed without being asked for: 1."), (0, "You allowed 0."), (2, "You allowed 2.")]
)
def test_too_many_deletions(workshop: Workshop, allowed: int | None, said: str) -> None:
    for name in NAMES:
        workshop.declare(name, "dev", "fraud:1")
    workshop.apply()
    workshop.remove(*(f"endpoints/{name}/dev.yaml" for name in NAMES))
    with pytest.raises(Blocked, match="Too many deletions") as caught:
        workshop.apply(request=ApplyRequest(allow_deletes=allowed))
    (problem,) = caught.value.diagnostics
    assert problem.detail.startswith("Of 4 objects of dev, 3 would be deleted or replaced: endpoint/two@here, ")
    assert problem.detail.endswith(said)
    assert problem.command == "mlops apply --stage dev --allow-deletes 3"
