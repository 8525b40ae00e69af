"""Which kinds of documents there are; what each is called, and which model it has."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from mlops.schemas.fields import File


class DocumentKind(StrEnum):
    """The kinds of documents that are checked as a whole.

    ENDPOINT is endpoint.yaml merged with a stage's patch; BASE is endpoint.yaml alone, which may be incomplete.
    """

    PROJECT = "project"
    MODEL = "model"
    TOMBSTONES = "tombstones"
    ENVIRONMENT = "environment"
    BASE = "base"
    ENDPOINT = "endpoint"


def model_of(kind: DocumentKind) -> type[File]:
    """The pydantic model of a kind; imports pydantic."""
    match kind:
        case DocumentKind.PROJECT:
            from mlops.schemas.project import Project as Model  # noqa: PLC0415 - only on a cache miss
        case DocumentKind.MODEL:
            from mlops.schemas.model import Model  # type: ignore[assignment]  # noqa: PLC0415 - as above
        case DocumentKind.TOMBSTONES:
            from mlops.schemas.model import Tombstones as Model  # type: ignore[assignment]  # noqa: PLC0415 - as above
        case DocumentKind.ENVIRONMENT:
            from mlops.schemas.environment import Environment as Model  # type: ignore[assignment]  # noqa: PLC0415
        case DocumentKind.BASE | DocumentKind.ENDPOINT:
            from mlops.schemas.endpoint import Endpoint as Model  # type: ignore[assignment]  # noqa: PLC0415
        case _:
            assert_never(kind)
    return Model
