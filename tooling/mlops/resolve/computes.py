"""What resolving has to know of a compute's type; the pipeline takes it from the drivers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class ComputeType:
    """A driver of endpoints, as far as declarations are concerned.

    Attributes:
        spec: Gives the model of the compute's options; called only for options that were not checked before.
        refused: Declared fields that it does not enforce, each with what to do. A dotted path, `*` for one name,
            optionally with `=value` or `>most`; below `deployments.*.model` and `.environment` are those declarations'
            own fields.
        traffic: "weighted", "fleet" or "none".
        version: Version of the driver's code: options that an older one accepted are checked again.
    """

    spec: Callable[[], type[BaseModel]]
    refused: Mapping[str, str] = field(default_factory=dict)
    traffic: str = "weighted"
    version: str = ""
