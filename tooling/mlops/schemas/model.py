"""`models/<model>/<version>.yaml` and `models/<model>/tombstones.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from mlops.schemas.fields import (
    Document,
    File,
    Maybe,
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
    version: Maybe[Text] = Field(default=None, description="The library's version.")


class TrainingData(Document):
    """The data that a model was trained on."""

    name: Maybe[Text] = Field(default=None, description="The data's name.")
    version: Maybe[Text] = Field(default=None, description="The data's version.")
    sha256: Maybe[Sha256] = Field(default=None, description="Digest of the data.")
    uri: Maybe[Text] = Field(default=None, description="Where the data is.")


class TrainedBy(Document):
    """Where a model comes from: evidence for an auditor, read by nothing else."""

    repository: Maybe[Text] = Field(default=None, description="The Git repository that holds the training code.")
    branch: Maybe[Text] = Field(default=None, description="Its branch.")
    commit: Maybe[Annotated[str, Field(pattern=r"^[0-9a-f]{7,64}$")]] = Field(default=None, description="Its commit.")
    dirty: Maybe[bool] = Field(default=None, description="Whether the work tree had uncommitted changes.")
    script: Maybe[Text] = Field(default=None, description="The training script.")
    run: Maybe[Text] = Field(default=None, description="Id or address of the training run.")
    created_at: Maybe[Text] = Field(default=None, description="When it was trained, in ISO 8601.")
    created_by: Maybe[Text] = Field(default=None, description="Who or what trained it.")
    framework: Maybe[Framework] = Field(default=None, description="The library that trained it.")
    parameters: Maybe[dict[str, JsonValue]] = Field(default=None, description="The training's parameters.")
    data: Maybe[TrainingData] = Field(default=None, description="The data that it was trained on.")


class Model(File):
    """One version of a model. The content is immutable; description and tags are not."""

    name: Maybe[ModelName] = Field(default=None, description="The model's name; as the folder's, if written.")
    version: Maybe[VersionText] = Field(default=None, description="The version; as the file's name, if written.")
    type: Maybe[Literal["custom_model", "mlflow_model", "triton_model"]] = Field(
        default=None, description="The kind of model, as in Azure ML; custom_model if unset."
    )
    path: Maybe[RelativePath] = Field(
        default=None, description="The model's file or folder, relative to this file and within the repository."
    )
    uri: Maybe[Annotated[str, Field(pattern=r"^file:///.")]] = Field(
        default=None, description="A file outside the repository: file:///path. Checked against sha256 when applied."
    )
    files: Maybe[Annotated[dict[RelativePath, Sha256], Field(min_length=1)]] = Field(
        default=None, description="Digest by name, for content that is in the blob store; instead of path."
    )
    sha256: Sha256 = Field(
        description="Digest of the one file, or of the sorted `sha256sum` lines of several: two spaces before the name."
    )
    description: Maybe[Text] = Field(default=None, description="What it is; may be edited.")
    tags: Maybe[Tags] = Field(default=None, description="Searchable; may be edited.")
    properties: Maybe[Tags] = Field(default=None, description="Searchable; immutable.")
    flavors: Maybe[dict[str, dict[str, JsonValue]]] = Field(
        default=None, description="How it can be loaded, such as onnx, sklearn or python_function, with options."
    )
    metrics: Maybe[dict[str, Number]] = Field(default=None, description="What was measured, by name.")
    trained_by: Maybe[TrainedBy] = Field(default=None, description="Where it comes from.")


class Tombstone(Document):
    """A version that was deleted."""

    version: VersionText = Field(description="The version.")
    reason: Maybe[Text] = Field(default=None, description="Why it was deleted.")
    when: Maybe[Text] = Field(default=None, description="When it was deleted, in ISO 8601.")


class Tombstones(File):
    """Version numbers that were deleted and can never be used again."""

    versions: list[VersionText | Tombstone] = Field(description="The deleted versions.")
