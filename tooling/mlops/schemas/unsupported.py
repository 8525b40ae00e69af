"""Keys and values that Azure ML or the design know and nothing enforces yet, each with why or what to do instead.

They are refused: a field that is accepted and ignored would be a lie.
"""

from __future__ import annotations

from collections.abc import Mapping

_LATER = "It is not supported yet, and nothing is accepted and ignored: remove it."

KEYS: Mapping[str, Mapping[str, str]] = {
    "Project": {
        "image_repository": _LATER,
        "images": _LATER,
        "secrets": _LATER,
        "gates": _LATER,
        "environments": "Environments are files: environments/NAME/VERSION.yaml.",
        "endpoints": "Endpoints are files: endpoints/NAME/endpoint.yaml.",
        "version": 'The toolkit\'s version is written as required_version: ">=0.1,<1".',
    },
    "Stage": {
        "gates": _LATER,
        "approvals": _LATER,
        "reviewers": _LATER,
        "secrets": _LATER,
        "backend": _LATER,
        "compute": "An endpoint's stage file names its compute.",
    },
    "Model": {
        "stage": "Stages are files of an endpoint; a model version belongs to none.",
        "datastore": _LATER,
        "system_metadata": _LATER,
        "default_deployment_template": _LATER,
        "allowed_deployment_templates": _LATER,
    },
    "Environment": {
        "build": "Dockerfile builds are not supported yet: list the packages under requirements.",
        "os_type": "Platforms are written as platforms: [linux-x86_64].",
        "inference_config": _LATER,
        "datastore": _LATER,
        "dependencies": "Pip packages are listed under requirements; Conda's under conda_file.",
        "properties": _LATER,
    },
    "Endpoint": {
        "identity": _LATER,
        "public_network_access": _LATER,
        "location": "The compute says where an endpoint runs.",
        "overrides": _LATER,
        "data_collector": "Data is collected by a deployment: deployments: {NAME: {data_collector: ...}}.",
        "batching": "Requests are put together by a deployment: deployments: {NAME: {batching: ...}}.",
        "gates": _LATER,
        "moved": _LATER,
        "secrets": _LATER,
        "defaults": "It belongs to batch endpoints, which are not supported yet.",
        "model": "A model belongs to a deployment: deployments: {NAME: {model: NAME:VERSION}}.",
        "environment": "An environment belongs to a deployment: deployments: {NAME: {environment: NAME:VERSION}}.",
    },
    "Deployment": {
        "name": "A deployment's name is its key under deployments.",
        "endpoint_name": "A deployment belongs to the endpoint in whose folder it is written.",
        "type": "The compute decides it.",
        "telemetry": "Telemetry belongs to the endpoint: write it there, and it holds for all of its deployments.",
        "auth_mode": "Who may call is said of the endpoint: write auth_mode there.",
        "egress_public_network_access": _LATER,
        "private_network_connection": _LATER,
        "model_mount_path": _LATER,
        "startup_probe": _LATER,
        "overrides": _LATER,
    },
    "DataCollector": {
        "capture_headers": "Write it within request_logging: {capture_headers: [...]}.",
        "deny": "Fields are denied for each collection: collections: {model_inputs: {deny: [...]}}.",
        "hash": "Fields are hashed for each collection: collections: {model_inputs: {hash: [...]}}.",
        "destination": "Where data lies is the compute's to decide: remove it.",
    },
    "Tls": {"cert": "It is called certificate.", "password": "Keys with a password cannot be read: remove it."},
}
"""By the name of a model and the key."""

VALUES: Mapping[tuple[str, str, str], str] = {
    ("Endpoint", "type", "batch"): "Batch endpoints are not supported yet.",
    ("Endpoint", "auth_mode", "aad_token"): "Only Azure checks tokens of Microsoft Entra: write key or aml_token.",
    ("Registry", "type", "mlflow"): "Only the embedded registry is supported yet.",
    ("Registry", "type", "azureml"): "Only the embedded registry is supported yet.",
}
"""By the name of a model, the key and the value."""
