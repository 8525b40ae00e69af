"""The types that a skops file would make, read from its schema."""

from __future__ import annotations

import pickle

from mlops_scoring.pickles.policy import resolvable

_KNOWN = frozenset({"sklearn", "numpy", "scipy"})
_PLAIN = frozenset({"JsonNode", "ListNode", "TupleNode", "DictNode", "SetNode", "SliceNode", "BytesNode"})


def skops_names(schema: object) -> set[str]:
    """Names that have to be listed.

    Raises:
        pickle.UnpicklingError: A type that is not named properly.
    """
    names: set[str] = set()
    _walk(schema, names)
    return names


def _walk(node: object, names: set[str]) -> None:
    """Collect the types, whatever node they stand in."""
    if isinstance(node, list):
        for item in node:
            _walk(item, names)
    elif isinstance(node, dict):
        module, name = node.get("__module__"), node.get("__class__")
        if module is not None or name is not None:
            _note(module, name, node.get("__loader__"), names)
        if isinstance(node.get("module_path"), str) or isinstance(node.get("function"), str):
            # MLflow lets a model say itself which types skops may trust: no function passes unlisted, of any package.
            names.add(_full(node.get("module_path"), node.get("function")))
        for value in node.values():
            _walk(value, names)


def _note(module: object, name: object, loader: object, names: set[str]) -> None:
    full = _full(module, name)
    plain = loader in _PLAIN and module == "builtins"
    # skops itself knows which of these packages' types are safe, and refuses the others when it loads.
    if not plain and full.partition(".")[0] not in _KNOWN:
        names.add(full)


def _full(module: object, name: object) -> str:
    if not isinstance(module, str) or not isinstance(name, str) or not resolvable(module, name):
        raise pickle.UnpicklingError(f"the type {module}.{name}"[:200])
    return f"{module}.{name}"
