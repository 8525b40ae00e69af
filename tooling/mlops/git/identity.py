"""Who acts, and in which job, as far as the environment tells."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass

_GUESS = "operating system, because Git has no user.name here"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts.

    Attributes:
        name: For people.
        email: May be empty where nothing tells it.
        source: From where this is known, such as "GITHUB_ACTOR" or "Git configuration".
    """

    name: str
    email: str
    source: str

    @property
    def guessed(self) -> bool:
        """Whether nobody has said who acts, so that the operating system's user stands for them."""
        return self.source == _GUESS

    def __str__(self) -> str:
        """Write it as Git does."""
        return f"{self.name} <{self.email}>" if self.email else self.name


@dataclass(frozen=True, slots=True)
class Job:
    """A job of a CI system.

    Attributes:
        system: "GitHub Actions", "Azure Pipelines" or "GitLab CI".
        commit: The commit that it was started for.
        branch: The branch that it was started for, where it is one.
        pull_request: Number of the pull request, where it is one.
        url: Where a person can see the job.
    """

    system: str
    commit: str | None = None
    branch: str | None = None
    pull_request: str | None = None
    url: str | None = None


def _branch(reference: str) -> str | None:
    name = reference.removeprefix("refs/heads/")
    return name if name != reference else None


def _github(env: Mapping[str, str]) -> Job:
    reference = env.get("GITHUB_REF", "")
    parts = reference.split("/")
    pull_request = parts[2] if reference.startswith("refs/pull/") and len(parts) > 2 else None
    server, repository, run = (env.get(f"GITHUB_{key}", "") for key in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    url = f"{server}/{repository}/actions/runs/{run}" if server and repository and run else None
    return Job("GitHub Actions", env.get("GITHUB_SHA"), _branch(reference), pull_request, url)


def _azure(env: Mapping[str, str]) -> Job:
    collection, project, build = (
        env.get(key, "") for key in ("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI", "SYSTEM_TEAMPROJECT", "BUILD_BUILDID")
    )
    url = f"{collection.rstrip('/')}/{project}/_build/results?buildId={build}" if collection and build else None
    pull_request = env.get("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER") or env.get("SYSTEM_PULLREQUEST_PULLREQUESTID")
    branch = _branch(env.get("BUILD_SOURCEBRANCH", ""))
    return Job("Azure Pipelines", env.get("BUILD_SOURCEVERSION"), branch, pull_request or None, url)


def _gitlab(env: Mapping[str, str]) -> Job:
    return Job(
        "GitLab CI",
        env.get("CI_COMMIT_SHA"),
        env.get("CI_COMMIT_BRANCH"),
        env.get("CI_MERGE_REQUEST_IID"),
        env.get("CI_JOB_URL"),
    )


def find_job(env: Mapping[str, str]) -> Job | None:
    """The CI job that the environment variables describe; None on a desk."""
    if env.get("GITHUB_ACTIONS"):
        return _github(env)
    if env.get("TF_BUILD"):
        return _azure(env)
    if env.get("GITLAB_CI"):
        return _gitlab(env)
    return None


def _from_job(env: Mapping[str, str]) -> Actor | None:
    """Who asked for the job: in CI Git's configuration names a robot, or whoever set up the machine."""
    if find_job(env) is None:
        return None
    for name, email in (
        ("GITHUB_ACTOR", ""),
        ("BUILD_REQUESTEDFOR", "BUILD_REQUESTEDFOREMAIL"),
        ("GITLAB_USER_NAME", "GITLAB_USER_EMAIL"),
    ):
        if env.get(name):
            address = f"{env[name]}@users.noreply.github.com" if name == "GITHUB_ACTOR" else env.get(email, "")
            return Actor(env[name], address, name)
    return None


def find_actor(env: Mapping[str, str], configured: Mapping[str, str]) -> Actor:
    """Who acts: the first of GIT_AUTHOR_*, the CI job, Git's configuration, the operating system's user.

    Args:
        env: Environment variables.
        configured: Git's configuration, keys in lower case.
    """
    if env.get("GIT_AUTHOR_NAME"):
        email = env.get("GIT_AUTHOR_EMAIL") or configured.get("user.email", "")
        return Actor(env["GIT_AUTHOR_NAME"], email, "GIT_AUTHOR_NAME")
    if actor := _from_job(env):
        return actor
    if configured.get("user.name"):
        return Actor(configured["user.name"], configured.get("user.email", ""), "Git configuration")
    return _from_system(env)


def _from_system(env: Mapping[str, str]) -> Actor:
    try:
        user = env.get("LOGNAME") or env.get("USER") or getpass.getuser()
    except (OSError, KeyError):
        user = f"uid {os.getuid()}"
    return Actor(user, f"{user}@{os.uname().nodename}", _GUESS)
