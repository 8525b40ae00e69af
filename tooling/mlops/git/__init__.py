"""Git, through its binary and plumbing commands (why: docs/decisions/0002-git-through-plumbing.md)."""

from mlops.git.command import TimedOut
from mlops.git.identity import Actor, Job
from mlops.git.remote import Diverged, RemoteRefused, Unreachable
from mlops.git.repository import GitRepository
from mlops.git.worktree import Revision, Survey

__all__ = [
    "Actor",
    "Diverged",
    "GitRepository",
    "Job",
    "RemoteRefused",
    "Revision",
    "Survey",
    "TimedOut",
    "Unreachable",
]
