"""How little a process may do: another user, no way back to more rights, files that only their owner can read."""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import sys
from collections.abc import Mapping
from dataclasses import dataclass

ALLOW_ROOT = "MLOPS_ALLOW_ROOT"
"""Variable that lets an image's server run as root, with the value `1`."""

_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
_LARGEST_ID = 2**32 - 2


class CannotConfine(Exception):
    """The process cannot run as asked; the message is one line."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a process runs as.

    Attributes:
        home: What `HOME` becomes; None leaves it.
    """

    uid: int
    gid: int
    home: str | None


def find_account(user: str) -> Account:
    """Read `NAME`, `UID`, `NAME:GROUP` or `UID:GID`. A number need not be known to the system.

    Raises:
        CannotConfine: There is no such user or group, or a number without a group that is not known.
    """
    name, _, group = user.partition(":")
    try:
        entry = pwd.getpwuid(_number(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        entry = None
    if entry is None and not name.isdigit():
        raise CannotConfine(f"there is no user {name!r}")
    if entry is None and not group:
        raise CannotConfine(f"the system does not know the user {name}: say the group too, {name}:GID")
    uid = entry.pw_uid if entry is not None else _number(name)
    try:
        known = entry.pw_gid if entry is not None else -1
        gid = known if not group else _number(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise CannotConfine(f"there is no group {group!r}") from None
    return Account(uid, gid, entry.pw_dir if entry is not None else None)


def _number(digits: str) -> int:
    found = int(digits)
    if found > _LARGEST_ID:
        raise CannotConfine(f"{digits} is not the number of a user or group")
    return found


def keep_private() -> None:
    """Let only the owner open files that are made from now on."""
    os.umask(0o077)


def become(user: str) -> None:
    """Run as another user from now on, in no other groups, and never with more rights again.

    Raises:
        CannotConfine: There is no such user, or this process may not become it.
    """
    account = find_account(user)
    if os.geteuid() != 0 and account.uid == os.geteuid() == os.getuid() and account.gid == os.getegid():
        give_up_rights()
        return
    try:
        os.setgroups([])
        os.setresgid(account.gid, account.gid, account.gid)
        os.setresuid(account.uid, account.uid, account.uid)
    except OSError as error:
        raise CannotConfine(f"this process cannot become the user {user}: {error.strerror}") from None
    give_up_rights()
    if account.home is not None:
        os.environ["HOME"] = account.home


def give_up_rights() -> None:
    """Keep programs that are started from gaining rights, set-uid ones among them (Linux only).

    Raises:
        CannotConfine: The kernel refuses.
    """
    if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise CannotConfine("the kernel does not take away the way to more rights")


def refuse_root(environment: Mapping[str, str]) -> None:
    """In an image, be no root: what gets out of the model would be root too.

    Raises:
        CannotConfine: This process is root, and nobody has allowed that.
    """
    if os.geteuid() == 0 and environment.get(ALLOW_ROOT) != "1":
        raise CannotConfine(f"this would run as root; use --user NAME or USER in the image, or set {ALLOW_ROOT}=1")
