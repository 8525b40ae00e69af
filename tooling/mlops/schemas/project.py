"""`mlops.yaml`: the project, its computes and its stages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mlops.schemas.fields import ComputeName, Document, File, Maybe, ProjectName, RelativePath, StageName, Text

_ClassName = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")]


class Registry(Document):
    """Where versions of models and environments are kept."""

    type: Literal["embedded"] = Field(description="The kind of registry; embedded is SQLite and files on this machine.")
    path: Maybe[RelativePath] = Field(
        default=None, description="Folder of the embedded registry, below .mlops; .mlops/registry if unset."
    )


class LedgerOptions(Document):
    """Where the ledger's branches are pushed."""

    remote: Maybe[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]] = Field(
        default=None, description="The Git remote that holds the ledger; unset, it stays in this clone."
    )


class PickleFormat(Document):
    """What a format that can run code may hold."""

    classes: list[_ClassName] = Field(
        description="Full names of the classes and functions that such a file may name; all others are refused."
    )


class Formats(Document):
    """The formats of model files that can run code when they are read; what is not listed is refused."""

    joblib: Maybe[PickleFormat] = Field(default=None, description="Files named *.joblib.")
    pickle: Maybe[PickleFormat] = Field(default=None, description="Files named *.pkl or *.pickle.")
    skops: Maybe[PickleFormat] = Field(default=None, description="Types that *.skops files may name beyond skops' own.")


class ModelPolicy(Document):
    """Rules for all models."""

    formats: Formats = Field(default_factory=Formats, description="Which formats that can run code are allowed.")


class Compute(BaseModel):
    """A named instance of a compute type; all keys but `type` belong to that type and are checked by its driver."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")

    type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = Field(description="The compute type, such as local.")


class Stage(Document):
    """A stage, such as dev or prod."""

    description: Maybe[Text] = Field(default=None, description="What the stage is for.")
    branch: Maybe[Annotated[str, Field(pattern=r"^[^\s~^:?*\[\\-][^\s~^:?*\[\\]*$")]] = Field(
        default=None, description="Apply only clean commits of this Git branch; unset, any tree may be applied."
    )
    protect: bool = Field(default=False, description="Refuse to delete or replace the stage's endpoints.")


class Project(File):
    """The file `mlops.yaml` in the repository's root."""

    required_version: Maybe[str] = Field(
        default=None, description="Versions of the toolkit that may read this repository, such as >=0.1,<1 (PEP 440)."
    )
    project: ProjectName = Field(description="The project's id; part of what marks live objects as this project's.")
    name: Maybe[Text] = Field(default=None, description="The project's name for people.")
    description: Maybe[Text] = Field(default=None, description="What the project is for.")
    registry: Maybe[Registry] = Field(default=None, description="Where versions are kept; embedded if unset.")
    ledger: Maybe[LedgerOptions] = Field(default=None, description="Where the ledger is pushed.")
    models: Maybe[ModelPolicy] = Field(default=None, description="Rules for all models.")
    computes: dict[ComputeName, Compute] = Field(
        default_factory=dict, description="Named places where endpoints run; options depend on the type."
    )
    stages: Annotated[dict[StageName, Stage], Field(min_length=1)] = Field(
        description="The stages, in the order of promotion."
    )
