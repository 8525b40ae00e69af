"""`data_collector` of a deployment, as Azure ML declares it, with lists of fields that are left out or hashed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from mlops.schemas.fields import Document, Maybe, Percent, Text
from mlops.schemas.serving import CollectedData

_SPELLINGS = {"true": True, "false": False}
_RATES = {rate.lower(): rate for rate in ("Minute", "Hour", "Day", "Month", "Year")}


def _switch(value: object) -> object:
    """Azure ML's YAML writes 'true' or 'True' as text."""
    return _SPELLINGS.get(value.lower(), value) if isinstance(value, str) else value


def _rate(value: object) -> object:
    """Azure ML's schema writes it small, its documentation large."""
    return _RATES.get(value.lower(), value) if isinstance(value, str) else value


Switch = Annotated[
    bool,
    BeforeValidator(_switch),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"enum": ["true", "false", "True", "False"]}]}),
]
RollingRate = Annotated[
    Literal["Minute", "Hour", "Day", "Month", "Year"],
    BeforeValidator(_rate),
    WithJsonSchema({"enum": [*_RATES.values(), *_RATES]}),
]
CollectionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]
FieldNames = Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(min_length=1, max_length=1000)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", max_length=256)]
"""A field name of HTTP (RFC 9110, section 5.6.2)."""


class Collection(Document):
    """One collection.

    `request` and `response` are whole bodies and need no code; `model_inputs` and `model_outputs` need none where there
    is no entry script. All others are filled by the entry script.
    """

    enabled: Maybe[Switch] = Field(default=None, description="Whether it is collected; true if unset.")
    sampling_rate: Maybe[Percent] = Field(
        default=None, description="Share of the requests that are kept; the data collector's if unset."
    )
    deny: Maybe[FieldNames] = Field(default=None, description="Fields of the rows that are never written.")
    hash: Maybe[FieldNames] = Field(
        default=None, description="Fields of the rows of which only a keyed digest is written."
    )
    data: Maybe[CollectedData | Text] = Field(
        default=None, description="Where Azure ML writes it, or the data asset's reference; local computes decide it."
    )
    client_id: Maybe[Annotated[str, Field(max_length=256)]] = Field(
        default=None, description="Identity with which Azure ML writes it."
    )


class RequestLogging(Document):
    """What is kept of a request beside its rows."""

    capture_headers: Maybe[Annotated[list[HeaderName], Field(max_length=100)]] = Field(
        default=None, description="Headers of the request that are written beside the rows; none if unset."
    )


class DataCollector(Document):
    """What a deployment collects of its requests and answers."""

    collections: Annotated[dict[CollectionName, Collection], Field(min_length=1)] = Field(
        description="What is collected, by name: model_inputs, model_outputs, request, response, or a script's own."
    )
    sampling_rate: Maybe[Percent] = Field(
        default=None, description="Share of the requests that are kept, such as 10% or 0.1; all if unset."
    )
    rolling_rate: Maybe[RollingRate] = Field(
        default=None, description="How often a new file is begun: Minute, Hour, Day, Month or Year; Hour if unset."
    )
    request_logging: Maybe[RequestLogging] = Field(default=None, description="What is kept of a request.")
