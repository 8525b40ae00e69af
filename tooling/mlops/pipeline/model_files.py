"""The files of a new model version: their names in the model, what they must not be, and what they tell of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops.archive import members
from mlops.errors import Diagnostic, InvalidRepository, Location, MlopsError
from mlops.resource import JSON

_LFS = b"version https://git-lfs.github.com/spec/v1\n"
_FLAVORS: Mapping[str, str] = {
    ".onnx": "onnx",
    ".joblib": "sklearn",
    ".pkl": "sklearn",
    ".pickle": "sklearn",
    ".skops": "sklearn",
}
_MLFLOW_MARK = "MLmodel"


@dataclass(frozen=True, slots=True)
class Source:
    """One file of a new version.

    Attributes:
        name: Its path within the model, as `AZUREML_MODEL_DIR` will have it.
        path: Where it is now.
        size: Bytes.
    """

    name: str
    path: Path
    size: int


@dataclass(frozen=True)
class Content:
    """All files of a new version.

    Attributes:
        files: In the order of names.
        folder: Whether they were given as one folder: then their digest is that of a folder, even of a single file.
    """

    files: tuple[Source, ...]
    folder: bool

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def type(self) -> str:
        """The type in Azure ML's words."""
        return "mlflow_model" if any(file.name == _MLFLOW_MARK for file in self.files) else "custom_model"

    @property
    def flavors(self) -> dict[str, dict[str, JSON]]:
        """How it can be loaded without an entry script, as far as names tell."""
        if self.type == "mlflow_model":
            return {"python_function": {}}
        names = {_FLAVORS[suffix] for file in self.files if (suffix := Path(file.name).suffix.lower()) in _FLAVORS}
        return {name: {} for name in sorted(names)}


def find_content(paths: Sequence[Path]) -> Content:
    """Look at the files and folders of a new version.

    One folder is the model; of several files and folders, each keeps its own name.

    Raises:
        InvalidRepository: Files that are missing, empty, links, devices, Git LFS pointers or of one name; all of them.
    """
    problems: list[Diagnostic] = []
    folder = len(paths) == 1 and paths[0].is_dir()
    found: dict[str, Source] = {}
    for path in paths:
        for source in _sources(path, "" if folder else path.resolve().name, problems):
            other = found.setdefault(source.name, source)
            if other is not source:
                todo = "Put the files into one folder under different names and register the folder."
                problems.append(Diagnostic("Two files of one name", f"{other.path} has it too.", _at(path), todo))
    if not found and not problems:
        problems.append(Diagnostic("No model files", "There is no file to register.", todo="Name the model's files."))
    if problems:
        raise InvalidRepository(*problems)
    return Content(tuple(found[name] for name in sorted(found)), folder)


def _sources(path: Path, name: str, problems: list[Diagnostic]) -> Iterator[Source]:
    try:
        status = os.lstat(path)
        if stat.S_ISDIR(status.st_mode):
            for member in members(path):
                yield from _file(member.source, f"{name}/{member.path}".lstrip("/"), member.stat, problems)
        else:
            yield from _file(path, name, status, problems)
    except OSError as error:
        problems.append(Diagnostic("Model file cannot be read", f"{error.strerror}.", _at(path), "Check its path."))
    except MlopsError as error:
        problems.extend(error.diagnostics)


def _file(path: Path, name: str, status: os.stat_result, problems: list[Diagnostic]) -> Iterator[Source]:
    if not stat.S_ISREG(status.st_mode):
        todo = "Name the file itself."
        problems.append(Diagnostic("Not a regular file", "It is a link, a device or a pipe.", _at(path), todo))
    elif "\\" in name or not name.isprintable():
        problems.append(Diagnostic("Unusable file name", repr(name), _at(path), "Rename it: letters, digits, . _ -."))
    elif _is_pointer(path):
        detail = "The file itself was not fetched."
        command = f"git lfs pull --include {path.name}"
        problems.append(Diagnostic("Git LFS pointer", detail, _at(path), "Fetch it.", command))
    else:
        yield Source(name, path, status.st_size)


def _is_pointer(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_LFS)) == _LFS


def _at(path: Path) -> Location:
    return Location(str(path))
