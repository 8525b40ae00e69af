"""`endpoints/<name>/endpoint.yaml`, merged with the patch of a stage; the fields are Azure ML's where it has them.

Defaults are described, never filled in: a spec holds what the user wrote. They are Azure ML's, but for `auth_mode`,
which is `key` there and `none` here, because local endpoints listen on loopback only.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from mlops.schemas.collecting import DataCollector
from mlops.schemas.fields import (
    ComputeName,
    Cpu,
    DeploymentName,
    Document,
    Duration,
    EndpointName,
    EnvironmentReference,
    File,
    Maybe,
    Memory,
    ModelReference,
    NonNegative,
    Percent,
    RelativePath,
    Tags,
    Text,
    Variables,
)
from mlops.schemas.serving import Batching, Limits, Telemetry, Tls

_Count = Annotated[int, Field(ge=1, le=10_000)]
_Period = Annotated[float, Field(ge=0.1)] | Annotated[int, Field(ge=1)]
_ProbeTimeout = Annotated[float, Field(ge=0.01)] | Annotated[int, Field(ge=1)]
_Weight = Annotated[int, Field(ge=0, le=100)]
_Mirrored = Annotated[int, Field(ge=0, le=50)]


class CodeConfiguration(Document):
    """The entry script."""

    code: RelativePath = Field(description="Folder of the code, relative to the endpoint's folder.")
    scoring_script: RelativePath = Field(description="The script with init() and run(), relative to the code folder.")


class RequestSettings(Document):
    """Limits of requests."""

    request_timeout_ms: Maybe[Annotated[int, Field(ge=1, le=300_000)]] = Field(
        default=None, description="Milliseconds that a request may take; 5000 if unset."
    )
    max_concurrent_requests_per_instance: Maybe[_Count] = Field(
        default=None, description="Requests that one instance handles at once; 1 if unset."
    )
    max_queue_wait_ms: Maybe[Annotated[int, Field(ge=0, le=300_000)]] = Field(
        default=None, description="Milliseconds that a request may wait for an instance; 500 if unset."
    )


class Probe(Document):
    """How an instance's health is asked for. Times are seconds."""

    initial_delay: Maybe[NonNegative] = Field(default=None, description="Seconds before the first probe; 10 if unset.")
    period: Maybe[_Period] = Field(default=None, description="Seconds between two probes; 10 if unset.")
    timeout: Maybe[_ProbeTimeout] = Field(default=None, description="Seconds that a probe may take; 2 if unset.")
    success_threshold: Maybe[_Count] = Field(
        default=None, description="Successes in a row that make it healthy; 1 if unset."
    )
    failure_threshold: Maybe[_Count] = Field(
        default=None, description="Failures in a row that make it unhealthy; 30 if unset."
    )


class ScaleSettings(Document):
    """Whether an autoscaler owns the number of instances."""

    type: Literal["default", "target_utilization"] = Field(
        description="default: instance_count says it; target_utilization: an autoscaler does, between the limits."
    )
    min_instances: Maybe[_Count] = Field(default=None, description="Fewest instances; 1 if unset.")
    max_instances: Maybe[_Count] = Field(default=None, description="Most instances; 1 if unset.")
    target_utilization_percentage: Maybe[Annotated[int, Field(ge=1, le=100)]] = Field(
        default=None, description="Utilisation to aim for; 70 if unset."
    )
    polling_interval: Maybe[_Count] = Field(default=None, description="Seconds between two decisions; 1 if unset.")


class Quantities(Document):
    """Amounts of what an instance uses."""

    cpu: Maybe[Cpu] = Field(default=None, description="CPU cores, such as 500m or 0.5.")
    memory: Maybe[Memory] = Field(default=None, description="Memory, such as 256Mi or 1Gi.")
    gpu: Maybe[Annotated[int, Field(ge=0)]] = Field(default=None, description="Whole GPUs.")


class Resources(Document):
    """What an instance is given."""

    requests: Maybe[Quantities] = Field(default=None, description="What it is given at least.")
    limits: Maybe[Quantities] = Field(default=None, description="What it may use at most.")


class Deployment(Document):
    """A model with its code and environment behind an endpoint."""

    model: ModelReference = Field(description="The model version: name:version.")
    environment: EnvironmentReference = Field(description="The environment version: name:version.")
    code_configuration: Maybe[CodeConfiguration] = Field(
        default=None, description="The entry script; not needed for ONNX, scikit-learn and MLflow models."
    )
    instance_count: Maybe[_Count] = Field(default=None, description="Number of instances; 1 if unset.")
    instance_type: Maybe[Text] = Field(default=None, description="Machine type, where the compute has several.")
    environment_variables: Maybe[Variables] = Field(default=None, description="Variables for the entry script.")
    request_settings: Maybe[RequestSettings] = Field(default=None, description="Limits of requests.")
    liveness_probe: Maybe[Probe] = Field(default=None, description="When to restart an instance.")
    readiness_probe: Maybe[Probe] = Field(default=None, description="When an instance gets requests.")
    scale_settings: Maybe[ScaleSettings] = Field(default=None, description="Whether an autoscaler owns the number.")
    resources: Maybe[Resources] = Field(default=None, description="What an instance is given.")
    data_collector: Maybe[DataCollector] = Field(
        default=None, description="What is collected of requests and answers; nothing if unset."
    )
    app_insights_enabled: Maybe[bool] = Field(
        default=None, description="Whether telemetry is sent to Azure Monitor; false if unset."
    )
    batching: Maybe[Batching] = Field(
        default=None, description="Give requests to the model together; only for models served without code."
    )
    description: Maybe[Text] = Field(default=None, description="What it is.")
    tags: Maybe[Tags] = Field(default=None, description="Searchable.")
    properties: Maybe[Tags] = Field(default=None, description="Searchable.")


class SampleRequest(Document):
    """A request whose answer is known; it is scored after every change."""

    request: RelativePath = Field(description="File with the request's body, relative to the endpoint's folder.")
    expected: JsonValue = Field(
        description="The expected answer: a path to a JSON file (any text is a path), or the JSON itself."
    )
    tolerance: Maybe[NonNegative] = Field(
        default=None, description="Largest difference between numbers; 1e-6 if unset."
    )
    deployment: Maybe[DeploymentName] = Field(default=None, description="The only deployment to which it applies.")


class RolloutChecks(Document):
    """What is checked at each step of a rollout."""

    sample_request: Maybe[bool] = Field(
        default=None, description="Score the sample request on the new version; true if unset and one is declared."
    )
    max_error_rate: Maybe[Percent] = Field(
        default=None, description="Largest share of failed requests on the new version, such as 1%."
    )
    min_requests: Maybe[Annotated[int, Field(ge=0)]] = Field(
        default=None, description="Fewer requests than this say nothing yet; 0 if unset."
    )
    deadline: Maybe[Duration] = Field(
        default=None, description="How long to wait for a check that says nothing yet, before going back; 10m if unset."
    )


class RolloutPlan(Document):
    """How a change of a deployment reaches its traffic."""

    strategy: Literal["all_at_once", "canary", "blue_green"] = Field(
        description="all_at_once switches; canary shifts by weights; blue_green starts the new one, checks, switches."
    )
    weights: Maybe[Annotated[list[Annotated[int, Field(ge=1, le=99)]], Field(min_length=1, max_length=20)]] = Field(
        default=None, description="Percent of the traffic on the new version, step by step, before 100; canary only."
    )
    soak: Maybe[Duration] = Field(default=None, description="How long each step has to stay good; 0 if unset.")
    checks: Maybe[RolloutChecks] = Field(default=None, description="What is checked at each step.")


class Endpoint(File):
    """An endpoint in one stage: endpoint.yaml with the stage's patch."""

    name: Maybe[EndpointName] = Field(default=None, description="The name; as the folder's, if written.")
    type: Maybe[Literal["online"]] = Field(default=None, description="The kind of endpoint; online if unset.")
    compute: ComputeName = Field(description="Where it runs: a compute of mlops.yaml.")
    auth_mode: Maybe[Literal["none", "key", "aml_token"]] = Field(
        default=None,
        description="Who may call it: none, whoever reaches the compute; key, who has one of two keys; aml_token, who "
        "has a token that expires soon. None if unset, where Azure ML's is key.",
    )
    tls: Maybe[Tls] = Field(default=None, description="The certificate for https; http if unset.")
    limits: Maybe[Limits] = Field(default=None, description="What clients may make the gateway hold.")
    telemetry: Maybe[Telemetry] = Field(default=None, description="Where traces and metrics are sent; unsent if unset.")
    description: Maybe[Text] = Field(default=None, description="What it is.")
    tags: Maybe[Tags] = Field(default=None, description="Searchable.")
    properties: Maybe[Tags] = Field(default=None, description="Searchable.")
    deployments: Annotated[dict[DeploymentName, Deployment], Field(min_length=1)] = Field(
        description="What answers, by name."
    )
    traffic: Maybe[dict[DeploymentName, _Weight]] = Field(
        default=None, description="Percent of the requests by deployment, 0 or 100 in all; the only one gets 100."
    )
    mirror_traffic: Maybe[dict[DeploymentName, _Mirrored]] = Field(
        default=None,
        description="Percent of the requests of which a copy goes to one deployment that has no traffic; 50 at most.",
    )
    sample_request: Maybe[SampleRequest] = Field(default=None, description="A request whose answer is known.")
    rollout: Maybe[RolloutPlan] = Field(default=None, description="How a change is rolled out; all at once if unset.")
    protect: Maybe[bool] = Field(default=None, description="Refuse to delete or replace it; the stage's rule if unset.")
    timeout: Maybe[Duration] = Field(default=None, description="How long to wait for it to become healthy.")
