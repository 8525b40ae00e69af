"""The options of a local compute in `mlops.yaml`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mlops.drivers.local.ports import DEFAULT_PORTS, parse_ports


def _check_ports(text: str) -> str:
    parse_ports(text)
    return text


class LocalOptions(BaseModel):
    """Processes on this machine, bound to loopback."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    ports: Annotated[str, AfterValidator(_check_ports)] = Field(
        DEFAULT_PORTS,
        description="Range of TCP ports on loopback from which each endpoint gets one for life.",
        examples=["8600-8699"],
        pattern=r"^[0-9]{1,5}(-[0-9]{1,5})?$",
    )
