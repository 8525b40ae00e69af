"""What `registry:` in mlops.yaml may say about the embedded registry."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class RegistryOptions(BaseModel):
    """The embedded registry: files in a folder of this machine."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    type: Literal["embedded"] = Field("embedded", description="The kind of registry; embedded keeps it in a folder.")
    path: str = Field(
        ".mlops/registry",
        min_length=1,
        description="The registry's folder, relative to the repository.",
    )
