"""Who acts, and from where that is known."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.unit.git.room import git, make_repository

from mlops.git import Actor, GitRepository, Job
from mlops.git.identity import find_actor, find_job

CONFIGURED = {"user.name": "Con Figured", "user.email": "con@example.com"}


@pytest.mark.parametrize(
    ("env", "configured", "expected"),
    [
        (
            {
                "GIT_AUTHOR_NAME": "Ann",
                "GIT_AUTHOR_EMAIL": "ann@example.com",
                "GITHUB_ACTIONS": "1",
                "GITHUB_ACTOR": "x",
            },
            CONFIGURED,
            Actor("Ann", "ann@example.com", "GIT_AUTHOR_NAME"),
        ),
        (
            {"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "octo"},
            CONFIGURED,
            Actor("octo", "octo@users.noreply.github.com", "GITHUB_ACTOR"),
        ),
        (
            {"TF_BUILD": "True", "BUILD_REQUESTEDFOR": "Bo", "BUILD_REQUESTEDFOREMAIL": "bo@example.com"},
            CONFIGURED,
            Actor("Bo", "bo@example.com", "BUILD_REQUESTEDFOR"),
        ),
        (
            {"GITLAB_CI": "true", "GITLAB_USER_NAME": "Gil", "GITLAB_USER_EMAIL": "gil@example.com"},
            {},
            Actor("Gil", "gil@example.com", "GITLAB_USER_NAME"),
        ),
        ({"GITHUB_ACTOR": "not in a job"}, CONFIGURED, Actor("Con Figured", "con@example.com", "Git configuration")),
        ({"GITHUB_ACTIONS": "true"}, CONFIGURED, Actor("Con Figured", "con@example.com", "Git configuration")),
    ],
)
def test_the_actor_is_the_first_that_is_told(env: dict[str, str], configured: dict[str, str], expected: Actor) -> None:
    assert find_actor(env, configured) == expected


def test_without_any_identity_the_operating_system_tells_and_says_so() -> None:
    actor = find_actor({"LOGNAME": "dev"}, {})
    assert (actor.name, actor.email) == ("dev", f"dev@{os.uname().nodename}")
    assert "operating system" in actor.source
    assert actor.guessed
    assert not find_actor({"LOGNAME": "dev"}, {"user.name": "Ada"}).guessed


def test_a_user_that_the_system_cannot_name_is_named_by_number() -> None:
    assert find_actor({}, {}).name


def test_the_configuration_of_the_repository_is_read(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    git(root, "config", "user.name", "Local\u00e9 One")
    assert GitRepository.open(root).actor() == Actor("Local\u00e9 One", "test@example.com", "Git configuration")


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, None),
        (
            {
                "GITHUB_ACTIONS": "true",
                "GITHUB_REF": "refs/pull/17/merge",
                "GITHUB_SHA": "abc",
                "GITHUB_SERVER_URL": "https://git.example",
                "GITHUB_REPOSITORY": "o/r",
                "GITHUB_RUN_ID": "5",
            },
            Job("GitHub Actions", "abc", None, "17", "https://git.example/o/r/actions/runs/5"),
        ),
        (
            {
                "TF_BUILD": "True",
                "BUILD_SOURCEBRANCH": "refs/heads/team/x",
                "BUILD_SOURCEVERSION": "abc",
                "SYSTEM_PULLREQUEST_PULLREQUESTID": "",
                "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": "https://dev.example/o/",
                "SYSTEM_TEAMPROJECT": "p",
                "BUILD_BUILDID": "9",
            },
            Job("Azure Pipelines", "abc", "team/x", None, "https://dev.example/o/p/_build/results?buildId=9"),
        ),
        (
            {"GITLAB_CI": "true", "CI_COMMIT_SHA": "abc", "CI_MERGE_REQUEST_IID": "3", "CI_JOB_URL": "https://j"},
            Job("GitLab CI", "abc", None, "3", "https://j"),
        ),
    ],
)
def test_the_job_is_read_from_the_variables_of_its_system(env: dict[str, str], expected: Job | None) -> None:
    assert find_job(env) == expected


def test_remotes_are_known_by_name_and_address(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "r")
    git(root, "remote", "add", "origin", "https://git.example/o/r")
    repository = GitRepository.open(root)
    assert repository.remotes() == ("origin",)
    assert repository.remote_url("origin") == "https://git.example/o/r"
    assert repository.remote_url("other") is None
