"""Modules under Azure ML's names, so that entry scripts import what they always have.

They are installed only where the real package is absent; a script that brings Flask's classes along keeps them.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

from mlops_scoring.worker.raw_http import AMLRequest, rawhttp
from mlops_scoring.worker.raw_response import AMLResponse

_PROVIDED: dict[str, dict[str, object]] = {
    "azureml_inference_server_http.api.aml_request": {"AMLRequest": AMLRequest, "rawhttp": rawhttp},
    "azureml_inference_server_http.api.aml_response": {"AMLResponse": AMLResponse},
    "azureml.contrib.services.aml_request": {"AMLRequest": AMLRequest, "rawhttp": rawhttp},
    "azureml.contrib.services.aml_response": {"AMLResponse": AMLResponse},
}


def install() -> None:
    """Provide the modules that the environment lacks."""
    for name, attributes in _PROVIDED.items():
        if _exists(name):
            continue
        parts = name.split(".")
        for length in range(1, len(parts)):
            _provide_package(".".join(parts[:length]))
        module = ModuleType(name, "Provided by mlops_scoring.")
        vars(module).update(attributes)
        _place(name, module)


def _exists(name: str) -> bool:
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _provide_package(name: str) -> None:
    # Other parts of `azureml` may really be installed: their packages are left as they are.
    if name in sys.modules:
        return
    if _exists(name):
        importlib.import_module(name)
        return
    package = ModuleType(name, "Provided by mlops_scoring.")
    package.__path__ = []
    _place(name, package)


def _place(name: str, module: ModuleType) -> None:
    sys.modules[name] = module
    parent, _, leaf = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], leaf, module)


def real_raw_http_requested() -> bool:
    """Whether a script used the `rawhttp` of a really installed Azure ML server."""
    module = sys.modules.get("azureml_inference_server_http.api.aml_request")
    return bool(getattr(module, "_rawHttpRequested", False))
