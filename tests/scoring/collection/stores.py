"""Stores as tests fill them and look at them, and the environments with the packages that write and read model data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.scoring.environments import run_in
from tests.scoring.rig import Worker

COLLECTING = (
    "azureml-ai-monitoring==1.0.0",
    "cloudevents==2.2.0",
    "numpy==2.4.6",
    "pandas==3.1.1",
    "requests==2.34.2",
)
"""Azure ML's collector with what it needs, and the SDK of CloudEvents."""

ROLLING = ("pyarrow==26.0.1",)
"""What writes Parquet; without pandas, which it would import and not need."""

ROLL = """
import json, sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
import pyarrow.parquet as pq
from mlops_scoring.collection.compact import compact

def plain(value):
    return value.isoformat() if isinstance(value, datetime) else value

store = Path(sys.argv[1])
report = asdict(compact(store))
print(json.dumps([report, [
    {
        "name": str(path.relative_to(store)),
        "types": {field.name: str(field.type) for field in pq.read_schema(path)},
        "json": [field.name for field in pq.read_schema(path) if (field.metadata or {}).get(b"encoding") == b"json"],
        "rows": [{k: plain(v) for k, v in row.items()} for row in pq.ParquetFile(path).read().to_pylist()],
    }
    for path in sorted(store.rglob("*.parquet"))
]]))
"""
"""Program that rolls a store up, and prints the report and every table."""


def collector(store: Path, **changes: object) -> dict[str, object]:
    """A data collector of everything that needs no code, by the minute, so that tests see files being rolled."""
    names = ("model_inputs", "model_outputs", "request", "response")
    return {"directory": str(store), "rolling_rate": "Minute", "collections": {name: {} for name in names}, **changes}


def score(worker: Worker, body: object, identity: str, path: str = "/score", **headers: str) -> Any:  # noqa: ANN401
    """One request that must succeed; its answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = {"x-request-id": identity, "content-type": "application/json", **named}
    answer = worker.ask(json.dumps(body), path=path, headers=content)
    assert answer.status == 200, (answer, worker.log())
    return answer.json


def roll(python: Path, store: Path) -> tuple[Any, list[Any]]:
    """Roll a store up; the report, and what pyarrow reads."""
    report, tables = run_in(python, ROLL, str(store))
    return report, tables


def event_files(store: Path, designation: str = "*") -> list[Path]:
    """Files of events of a designation, whatever service, model, version and day."""
    return sorted(store.glob(f"*/*/*/{designation}/*/*/*/*.jsonl"))


def events(store: Path, designation: str) -> list[Any]:
    """All events of a designation, in the order in which they were written; torn lines are errors."""
    return list(_events(store, designation))


def _events(store: Path, designation: str) -> Iterator[Any]:
    for path in event_files(store, designation):
        for line in path.read_bytes().splitlines():
            yield json.loads(line)


def data_by_request(store: Path, designation: str) -> dict[str, Any]:
    """The data of each event by its correlation id; two events of one request are an error."""
    found: dict[str, Any] = {}
    for event in events(store, designation):
        assert event["correlationid"] not in found
        found[event["correlationid"]] = event["data"]
    return found
