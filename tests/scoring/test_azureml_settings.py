"""The environment variables and the `config.json` of Azure ML's server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlops_scoring.azureml_settings import Settings, find_configuration_file, load_settings, read_settings
from mlops_scoring.documents import InvalidDocument

_KEY = "831e1650-001e-001b-66ab-eeb76e069631"


def test_without_variables_all_is_as_azure_ml_has_it() -> None:
    assert read_settings({}) == Settings()
    assert str(read_settings({}).script) == "/var/azureml-app/main.py"


def test_each_variable_is_read() -> None:
    read = read_settings(
        {
            "AML_APP_ROOT": "/srv/app",
            "AZUREML_SOURCE_DIRECTORY": "inner",
            "AZUREML_ENTRY_SCRIPT": "inner/score.py",
            "AZUREML_MODEL_DIR": "/models",
            "SERVICE_NAME": "digits",
            "SERVICE_VERSION": "7",
            "SERVICE_PATH_PREFIX": "/a/b/",
            "WORKSPACE_NAME": "shop",
            "HOSTNAME": "here",
            "SCORING_TIMEOUT_MS": "500",
            "AZUREML_LOG_LEVEL": "debug",
            "AML_CORS_ORIGINS": "https://a.test , https://b.test,",
            "SERVER_VERSION_LOG_RESPONSE_ENABLED": "False",
            "AML_APP_INSIGHTS_ENABLED": "true",
            "AML_APP_INSIGHTS_KEY": _KEY,
            "APP_INSIGHTS_LOG_RESPONSE_ENABLED": "0",
            "AML_MODEL_DC_STORAGE_ENABLED": "yes",
            "SERVER_PORT": "8080",
            "HEALTH_PORT": "8081",
            "SEPERATE_HEALTH_ENDPOINT": "true",
            "WORKER_COUNT": "4",
            "WORKER_TIMEOUT": "0",
            "AZUREML_DEBUG_PORT": "5678",
        }
    )
    assert read == Settings(
        app_root="/srv/app",
        source_directory="inner",
        entry_script="inner/score.py",
        model_directory="/models",
        service_name="digits",
        service_version="7",
        path_prefix="/a/b",
        workspace_name="shop",
        hostname="here",
        scoring_timeout_ms=500,
        log_level="DEBUG",
        cors_origins=("https://a.test", "https://b.test"),
        server_version=False,
        app_insights=True,
        app_insights_key=_KEY,
        app_insights_responses=False,
        model_data=True,
        port=8080,
        health_port=8081,
        worker_count=4,
        worker_timeout_seconds=0,
        debug_port=5678,
    )
    assert str(read.script) == "/srv/app/inner/score.py"
    assert _KEY not in repr(read)


def test_all_values_that_are_none_are_told_at_once() -> None:
    with pytest.raises(InvalidDocument) as refused:
        read_settings(
            {
                "SCORING_TIMEOUT_MS": "soon",
                "AML_APP_INSIGHTS_ENABLED": "perhaps",
                "AZUREML_LOG_LEVEL": "LOUD",
                "SERVER_PORT": "70000",
                "WORKER_COUNT": "0",
            }
        )
    assert {problem.partition(":")[0] for problem in refused.value.problems} == {
        *("AZUREML_LOG_LEVEL", "SCORING_TIMEOUT_MS", "AML_APP_INSIGHTS_ENABLED", "SERVER_PORT", "WORKER_COUNT")
    }


def test_application_insights_needs_a_key_that_is_one() -> None:
    on = {"AML_APP_INSIGHTS_ENABLED": "true"}
    assert not read_settings(on).app_insights
    assert not read_settings(on | {"AML_APP_INSIGHTS_KEY": f"InstrumentationKey={_KEY}"}).app_insights


def test_a_health_port_counts_only_where_health_is_to_be_apart() -> None:
    assert read_settings({"HEALTH_PORT": "9000"}).health_port is None
    assert read_settings({"SEPERATE_HEALTH_ENDPOINT": "true"}).health_port == 5000


def test_variables_win_over_the_file_which_is_found_where_azure_ml_finds_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({"SERVICE_NAME": "file", "SERVICE_VERSION": 3, "of the user": {}}), encoding="utf-8"
    )
    read = load_settings({"AML_APP_ROOT": str(tmp_path), "SERVICE_NAME": "variable"})
    assert (read.service_name, read.service_version) == ("variable", "3")
    beside = {"AML_APP_ROOT": str(tmp_path / "none"), "AZUREML_ENTRY_SCRIPT": str(tmp_path / "score.py")}
    assert find_configuration_file(beside) == tmp_path / "config.json"
    named = tmp_path / "named.json"
    named.write_text('{"SERVICE_NAME": "named"}', encoding="utf-8")
    assert load_settings({**beside, "AZUREML_CONFIG_FILE": str(named)}).service_name == "named"
    named.write_text("", encoding="utf-8")
    assert load_settings({**beside, "AZUREML_CONFIG_FILE": str(named)}).service_name == "file"


@pytest.mark.parametrize("content", ["{", "[]", '{"SERVICE_NAME": {}}', '{"A": 1, "A": 2}'])
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(InvalidDocument):
        load_settings({"AML_APP_ROOT": str(tmp_path)})
