"""`environments/<name>/<version>.yaml`: a software environment. Its lock, `<version>.lock`, lies beside it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from mlops.schemas.fields import EnvironmentName, File, Maybe, RelativePath, Tags, Text, Variables, VersionText

Platform = Literal["linux-x86_64", "linux-aarch64", "macos-x86_64", "macos-arm64", "windows-x86_64"]


class Environment(File):
    """One version of a software environment. All but description and tags is immutable."""

    name: Maybe[EnvironmentName] = Field(default=None, description="The name; as the folder's, if written.")
    version: Maybe[VersionText] = Field(default=None, description="The version; as the file's name, if written.")
    image: Maybe[Annotated[str, Field(pattern=r"^[a-z0-9][^\s]*$")]] = Field(
        default=None, description="Base image, by digest or tag."
    )
    conda_file: Maybe[RelativePath | dict[str, JsonValue]] = Field(
        default=None, description="A Conda environment file relative to this file, or its content."
    )
    requirements: Maybe[RelativePath | list[Annotated[str, Field(min_length=1)]]] = Field(
        default=None, description="A pip requirements file relative to this file, or its lines."
    )
    python: Maybe[Annotated[str, Field(pattern=r"^3\.\d{1,2}$")]] = Field(
        default=None, description='The Python version, such as "3.11"; in quotes, or YAML makes 3.1 of 3.10.'
    )
    platforms: Maybe[Annotated[list[Platform], Field(min_length=1)]] = Field(
        default=None, description="Platforms for which the lock is checked; this machine's if unset."
    )
    environment_variables: Maybe[Variables] = Field(default=None, description="Variables for the processes in it.")
    description: Maybe[Text] = Field(default=None, description="What it is; may be edited.")
    tags: Maybe[Tags] = Field(default=None, description="Searchable; may be edited.")
