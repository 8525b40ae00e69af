"""JSON Merge Patch (RFC 7396): how a stage file changes endpoint.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlops.resource import JSON
from mlops.schemas.problems import DocumentPath


def merge_patch(target: JSON, patch: JSON) -> JSON:
    """Apply a patch: mappings are merged, null removes, everything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    merged: dict[str, JSON] = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def removals_of_nothing(target: JSON, patch: JSON, path: DocumentPath = ()) -> Iterator[DocumentPath]:
    """Paths at which a patch removes what the target does not have; most often a slip of the pen."""
    if not isinstance(patch, Mapping):
        return
    known: Mapping[str, JSON] = target if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            if key not in known:
                yield (*path, key)
        else:
            yield from removals_of_nothing(known.get(key), value, (*path, key))
