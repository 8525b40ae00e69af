"""The store's key, by which values are hashed and requests are drawn."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from mlops_scoring.collection.layout import make_private

NAME = ".key"
"""Name of the key's file in the store's folder. Who deletes it makes old and new hashes incomparable."""

_LENGTH = 32
_MODE = 0o600


class UnusableKey(Exception):
    """The key is there and must not be used; the message says why."""


def store_key(directory: Path) -> bytes:
    """The key of a store, made on first use; processes that ask at once get the same.

    Raises:
        OSError: It can be neither read nor made.
        UnusableKey: The file is of a wrong length, or others can read it.
    """
    path = directory / NAME
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    make_private(directory)
    draft = directory / f"{NAME}.{secrets.token_hex(8)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _MODE)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(_LENGTH))
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first; its key it is
            os.link(draft, path)
    finally:
        draft.unlink()
    return _read(path)


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as stream:
        mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
        if mode & 0o077:
            message = f"{path} has mode {mode:04o}: others can read it. Set it to 0600."
            raise UnusableKey(message)
        key = stream.read(_LENGTH + 1)
    if len(key) != _LENGTH:
        message = f"{path} does not hold a key of {_LENGTH} bytes. Restore it, or delete it and lose the old hashes."
        raise UnusableKey(message)
    return key
