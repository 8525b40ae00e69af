"""Open files: as many as clients and workers need, as far as the system allows, and no more clients than it allows."""

from __future__ import annotations

import errno
import resource

OURS = frozenset({errno.EMFILE, errno.ENFILE})
"""Errors that say something of this process or machine, and nothing of a worker that was to be reached."""

_FILES = 4096
_LEAST = 64


def allow_connections(wanted: int) -> int:
    """Raise the limit of open files, for systems begin with 1,024 or even 256.

    Args:
        wanted: Connections of clients; each may need another one to a worker.

    Returns:
        How many of them there may be, so that a quarter of the files is left for workers, probes and logs.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    files = _FILES + 2 * wanted
    if hard != resource.RLIM_INFINITY:
        files = min(hard, files)
    if soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    files = max(soft, files)
    return max(1, min(wanted, files - max(_LEAST, files // 4)))
