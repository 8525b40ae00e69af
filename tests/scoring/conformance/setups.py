"""The servers that the table's rows are sent to."""

from __future__ import annotations

from tests.scoring.conformance.scripts import HEADERS, INSTALLED, NESTED, RAW, SCHEMA, TEXT
from tests.scoring.conformance.servers import Setup

_NAMED = {
    "SERVICE_NAME": "digits",
    "SERVICE_VERSION": "7",
    "SERVICE_PATH_PREFIX": "/prefix/",
    "WORKSPACE_NAME": "workshop",
    "SCORING_TIMEOUT_MS": "1500",
    "SERVER_VERSION_LOG_RESPONSE_ENABLED": "false",
    "AZUREML_LOG_LEVEL": "DEBUG",
    "APP_INSIGHTS_LOG_RESPONSE_ENABLED": "false",
    "AML_MODEL_DC_STORAGE_ENABLED": "true",
    "AZUREML_MODEL_DIR": "/models/here",
    "AML_APP_ROOT": "/srv/app",
    "MINE": "1",
}

SETUPS = {
    "text": Setup(TEXT),
    "headers": Setup(HEADERS),
    "schema": Setup(SCHEMA),
    "nested": Setup(NESTED),
    "raw": Setup(RAW),
    "installed": Setup(INSTALLED, installed=True),
    "named": Setup(TEXT, _NAMED),
    "own-swagger": Setup(
        TEXT, files={"swagger.json": '{"mine": 2}', "swagger3.json": '{"mine": 3}', "swagger3.1.json": '{"mine": 3.1}'}
    ),
    "own-swagger-2": Setup(TEXT, files={"swagger2.json": '{"mine": "2"}'}),
    "cors-one": Setup(TEXT, {"AML_CORS_ORIGINS": "https://shop.test"}),
    "cors-several": Setup(TEXT, {"AML_CORS_ORIGINS": "https://shop.test , http://localhost:3000"}),
    "cors-all": Setup(TEXT, {"AML_CORS_ORIGINS": "*"}),
    "cors-pattern": Setup(TEXT, {"AML_CORS_ORIGINS": r"https://.*\.test"}),
    "cors-raw": Setup(RAW, {"AML_CORS_ORIGINS": "https://shop.test"}),
}
"""Each is one process of the reference and one of ours."""
