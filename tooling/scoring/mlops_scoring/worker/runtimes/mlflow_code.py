"""What an `MLmodel` file may ask MLflow to run: loaders of MLflow's own, on files of the model.

The file comes with the model, not from Git. MLflow imports the module that it names, puts a folder of the model on
`sys.path`, runs a script of the model, and trusts the types that it lists (GHSA-w582-9x45-8mpx), all without asking.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from mlops_scoring.configuration import PicklePolicy
from mlops_scoring.worker.scoring import StartFailed

_CODE = ("code", "model_code_path")
_PATHS = ("data", "model_path", "model_data", "pickled_model", "python_model", "saved_model_dir")
_WAY_OUT = "load the model in an entry script, which Git has"


def refuse_code(flavors: Mapping[str, Mapping[str, object]], policy: PicklePolicy) -> None:
    """Look at what loading would run.

    Args:
        flavors: From the `MLmodel` file.
        policy: Its classes are what skops may be told to trust.

    Raises:
        StartFailed: It would run code that nobody has allowed.
    """
    for flavor, options in flavors.items():
        for name in _CODE:
            if options.get(name):
                raise StartFailed(f"the MLmodel file brings code ({flavor}.{name}), which is not run: {_WAY_OUT}")
        for name in _PATHS:
            path = PurePosixPath(str(options.get(name) or ""))
            if path.is_absolute() or ".." in path.parts:
                raise StartFailed(f"the MLmodel file names a file outside the model ({flavor}.{name})")
        loader = options.get("loader_module")
        if loader is not None and not str(loader).startswith("mlflow."):
            raise StartFailed(f"the MLmodel file asks for the loader {loader}, which is not MLflow's: {_WAY_OUT}")
        trusted = options.get("skops_trusted_types") or ()
        listed = {str(kind) for kind in trusted} if isinstance(trusted, list | tuple) else {str(trusted)}
        if unlisted := sorted(listed - set(policy.classes)):
            names = ", ".join(unlisted)
            raise StartFailed(f"the MLmodel file trusts {names}, which pickle_policy.classes does not list")
