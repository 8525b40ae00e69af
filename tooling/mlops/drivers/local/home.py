"""The folder of one endpoint, and what is kept in it for the endpoint's life.

```
.mlops/endpoints/<compute>/<endpoint>/
├── endpoint.json         ours: format, port, admin socket; made with the folder, never changed
├── configuration.json    what the supervisor serves
├── supervisor.json       the supervisor's: its process
├── supervisor.lock       held by the supervisor as long as it lives, in whatever state
├── failure.json          the supervisor's: why it ended
└── logs/
```
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops.drivers.local.folders import Folders, exclusive, flush, remove, write_durably
from mlops.drivers.local.ports import choose_port
from mlops.errors import Diagnostic, TargetError
from mlops.resource import JSON, canonical

FORMAT = 1

_SOCKET = "admin.sock"
_SOCKET_LIMIT = 100
"""Bytes of a UNIX socket's path; Linux takes 107, others 103 (unix(7))."""


@dataclass(frozen=True, slots=True)
class Home:
    """An endpoint's folder.

    Attributes:
        folder: Where it is.
        name: The endpoint's name.
        port: Its TCP port on loopback.
        admin: The path of its supervisor's admin socket.
    """

    folder: Path
    name: str
    port: int
    admin: Path

    @property
    def configuration(self) -> Path:
        """What the supervisor serves."""
        return self.folder / "configuration.json"

    @property
    def claim(self) -> Path:
        """The file that a living supervisor holds locked."""
        return self.folder / "supervisor.lock"

    @property
    def process(self) -> Path:
        """What the supervisor says about its process."""
        return self.folder / "supervisor.json"

    @property
    def failure(self) -> Path:
        """Why the supervisor ended."""
        return self.folder / "failure.json"

    @property
    def logs(self) -> Path:
        """The folder of all logs."""
        return self.folder / "logs"

    def outputs(self, scheme: str = "http") -> dict[str, str]:
        """What the endpoint offers.

        Args:
            scheme: How it is reached: http or https.
        """
        base = f"{scheme}://127.0.0.1:{self.port}"
        return {"scoring_uri": f"{base}/score", "swagger_uri": f"{base}/swagger.json", "port": str(self.port)}


def lock_of(folders: Folders, name: str) -> Path:
    """The file that whoever changes an endpoint holds locked."""
    return folders.endpoints / f".{name}.lock"


def read_home(folders: Folders, name: str) -> Home | None:
    """The folder of an endpoint; None where there is none or it is not ours."""
    folder = folders.endpoints / name
    try:
        document = json.loads((folder / "endpoint.json").read_bytes())
        if document["format"] != FORMAT:
            return None
        return Home(folder, name, int(document["port"]), folder / str(document["admin"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_document(home: Home) -> Mapping[str, JSON]:
    """The configuration on disk, which holds also while no supervisor lives; empty where there is none."""
    try:
        document = json.loads(home.configuration.read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def make_home(folders: Folders, name: str, ports: range) -> Home:
    """The folder of an endpoint, made with a port of its own unless it is there.

    Raises:
        TargetError: No port is free, or something else has the folder's place.
    """
    found = read_home(folders, name)
    if found is not None:
        return found
    folder = folders.endpoints / name
    if is_foreign(folders, name):
        raise TargetError(
            Diagnostic(
                "Folder is not ours",
                f"{folder} holds files, but no endpoint.json that this version of the toolkit can read.",
                todo="Look at it, and move it away if nobody needs it.",
            )
        )
    part = folders.endpoints / f".{name}.part"
    shutil.rmtree(part, ignore_errors=True)
    with exclusive(folders.all_endpoints / ".ports.lock"):
        port = choose_port(folders, ports)
        folders.endpoints.mkdir(parents=True, exist_ok=True)
        part.mkdir(mode=0o700)
        socket = _admin_socket(folder)
        document: dict[str, JSON] = {"format": FORMAT, "port": port, "admin": socket}
        write_durably(part / "endpoint.json", canonical(document))
        part.rename(folder)
        flush(folders.endpoints)
    return Home(folder, name, port, folder / socket)


def remove_home(home: Home) -> None:
    """Take the folder of an endpoint away; before it the private folder of its socket, which nothing else names."""
    if home.admin.parent != home.folder:
        home.admin.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            home.admin.parent.rmdir()
    remove(home.folder)


def is_foreign(folders: Folders, name: str) -> bool:
    """Whether somebody else's files are where the endpoint's folder would be."""
    folder = folders.endpoints / name
    if read_home(folders, name) is not None or not os.path.lexists(folder):
        return False
    return not folder.is_dir() or folder.is_symlink() or any(folder.iterdir())


def names(folders: Folders) -> list[str]:
    """What has an endpoint's place on the compute, ours or not."""
    try:
        with os.scandir(folders.endpoints) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith("."))
    except FileNotFoundError:
        return []


def _admin_socket(folder: Path) -> str:
    """Within the folder, or in a private folder elsewhere where the path would be too long for a socket.

    Not below XDG_RUNTIME_DIR, which ends with the session that the endpoint outlives.
    """
    if len(os.fsencode(folder / _SOCKET)) <= _SOCKET_LIMIT:
        return _SOCKET
    private = Path(tempfile.mkdtemp(prefix="mlops-", dir="/tmp"))
    return str(private / _SOCKET)
