"""`models/<model>/<version>.yaml` and `models/<model>/tombstones.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from mlops.schemas.fields import (
    Document,
    File,
    ModelName,
    Number,
    RelativePath,
    Sha256,
    Tags,
    Text,
    VersionText,
)


class Framework(Document):
    """The library that trained a model."""

    name: Text = Field(description="The library's name, such as scikit-learn.")
    version: Text | None = Field(default=None, description="The library's version.")


class TrainingData(Document):
    """The data that a model was trained on."""

    name: Text | None = Field(default=None, description="The data's name.")
    version: Text | None = Field(default=None, description="The data's version.")
    sha256: Sha256 | None = Field(default=None, description="Digest of the data.")
    uri: Text | None = Field(default=None, description="Where the data is.")


class TrainedBy(Document):
    """Where a model comes from: evidence for an auditor, read by nothing else."""

    repository: Text | None = Field(default=None, description="The Git repository that holds the training code.")
    branch: Text | None = Field(default=None, description="Its branch.")
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{7,64}$")] | None = Field(default=None, description="Its commit.")
    dirty: bool | None = Field(default=None, description="Whether the work tree had uncommitted changes.")
    script: Text | None = Field(default=None, description="The training script.")
    run: Text | None = Field(default=None, description="Id or address of the training run.")
    created_at: Text | None = Field(default=None, description="When it was trained, in ISO 8601.")
    created_by: Text | None = Field(default=None, description="Who or what trained it.")
    framework: Framework | None = Field(default=None, description="The library that trained it.")
    parameters: dict[str, JsonValue] | None = Field(default=None, description="The training's parameters.")
    data: TrainingData | None = Field(default=None, description="The data that it was trained on.")


class Model(File):
    """One version of a model. The content is immutable; description and tags are not."""

    name: ModelName | None = Field(default=None, description="The model's name; as the folder's, if written.")
    version: VersionText | None = Field(default=None, description="The version; as the file's name, if written.")
    type: Literal["custom_model", "mlflow_model", "triton_model"] | None = Field(
        default=None, description="The kind of model, as in Azure ML; custom_model if unset."
    )
    path: RelativePath | None = Field(
        default=None, description="The model's file or folder, relative to this file and within the repository."
    )
    uri: Annotated[str, Field(pattern=r"^file:///.")] | None = Field(
        default=None, description="A file outside the repository: file:///path. Checked against sha256 when applied."
    )
    files: Annotated[dict[RelativePath, Sha256], Field(min_length=1)] | None = Field(
        default=None, description="Digest by name, for content that is in the blob store; instead of path."
    )
    sha256: Sha256 = Field(
        description="Digest of the one file, or of the sorted `sha256sum` lines of several: two spaces before the name."
    )
    description: Text | None = Field(default=None, description="What it is; may be edited.")
    tags: Tags | None = Field(default=None, description="Searchable; may be edited.")
    properties: Tags | None = Field(default=None, description="Searchable; immutable.")
    flavors: dict[str, dict[str, JsonValue]] | None = Field(
        default=None, description="How it can be loaded, such as onnx, sklearn or python_function, with options."
    )
    metrics: dict[str, Number] | None = Field(default=None, description="What was measured, by name.")
    trained_by: TrainedBy | None = Field(default=None, description="Where it comes from.")


class Tombstone(Document):
    """A version that was deleted."""

    version: VersionText = Field(description="The version.")
    reason: Text | None = Field(default=None, description="Why it was deleted.")
    when: Text | None = Field(default=None, description="When it was deleted, in ISO 8601.")


class Tombstones(File):
    """Version numbers that were deleted and can never be used again."""

    versions: list[VersionText | Tombstone] = Field(description="The deleted versions.")
