"""One TCP port on loopback for each endpoint, the same for the endpoint's life."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlops.drivers.local.folders import Folders
from mlops.errors import Diagnostic, TargetError

HOST = "127.0.0.1"
"""Clients are not authenticated, so nothing but loopback is ever bound."""

DEFAULT_PORTS = "8600-8699"


def parse_ports(text: str) -> range:
    """Read "8600-8699", or one port.

    Raises:
        ValueError: It is not a range of ports from 1 to 65535.
    """
    first, dash, last = text.partition("-")
    numbers = [first, last if dash else first]
    if not all(number.isascii() and number.isdigit() for number in numbers):
        message = "Write a range of ports such as 8600-8699."
        raise ValueError(message)
    low, high = (int(number) for number in numbers)
    if not 1 <= low <= high <= 65535:
        message = "Ports are from 1 to 65535, the lower one first."
        raise ValueError(message)
    return range(low, high + 1)


def choose_port(folders: Folders, ports: range) -> int:
    """The first port of the range that no endpoint of this clone owns and nobody listens on.

    Raises:
        TargetError: There is none.
    """
    owned = set(_owned_ports(folders))
    for port in ports:
        if port not in owned and is_free(port):
            return port
    raise TargetError(
        Diagnostic(
            "No port is free",
            f"Of the ports {ports.start}-{ports.stop - 1} of {folders.compute}, {len(owned & set(ports))} belong to "
            "endpoints of this clone, and other processes have the rest.",
            todo=f"Give computes.{folders.compute}.ports in mlops.yaml a wider range.",
        )
    )


def is_free(port: int) -> bool:
    """Whether the port can be bound now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
        return True


def port_is_taken(port: int, folder: Path) -> TargetError:
    """The error that a stranger has an endpoint's port, naming it where the system tells."""
    owner = " and ".join(sorted(set(listeners(port))))
    return TargetError(
        Diagnostic(
            "Port is taken",
            f"Port {port} belongs to this endpoint for life, but {owner or 'another process'} listens on it.",
            todo="Stop that process and apply again. Or let the endpoint have another port: remove its folder, "
            "whose processes are gone already, and apply again.",
            command=f"rm -r {folder}",
        )
    )


def listeners(port: int) -> Iterator[str]:
    """Processes of Linux that listen on a port: "nginx (pid 4711)"; only those that this user may look into."""
    inodes = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _listening(Path("/proc/net", table), port)}
    if not inodes:
        return
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) in inodes for link in (process / "fd").iterdir()):
                yield f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:
            continue


def _listening(table: Path, port: int) -> Iterable[str]:
    """Inodes of the sockets of one table that listen on a port; the format is that of proc(5)."""
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
            yield fields[9]


def _owned_ports(folders: Folders) -> Iterator[int]:
    for path in folders.all_endpoints.glob("*/*/endpoint.json"):
        try:
            yield int(json.loads(path.read_bytes())["port"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
