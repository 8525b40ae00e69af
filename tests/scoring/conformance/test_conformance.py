"""One table of requests, sent to Azure ML's server and to ours, and the answers compared."""

from __future__ import annotations

import pytest
from tests.scoring.conformance.conftest import Servers
from tests.scoring.conformance.differences import Where, expected, listed
from tests.scoring.conformance.raw_table import raw_requests
from tests.scoring.conformance.replies import Request, compare
from tests.scoring.conformance.schema_table import schema_requests
from tests.scoring.conformance.table import requests

TABLE = (*requests(), *schema_requests(), *raw_requests())
PLACES: tuple[Where, ...] = ("worker", "gateway")


def test_each_row_has_a_name_of_its_own() -> None:
    names = [request.name for request in TABLE]
    assert len(names) == len(set(names))
    assert set(listed()) <= set(names)


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("request_row", TABLE, ids=[request.name for request in TABLE])
def test_we_answer_as_azure_ml_does_but_for_what_is_listed(
    servers: Servers, request_row: Request, where: Where
) -> None:
    ours = servers.worker(request_row) if where == "worker" else servers.gateway(request_row)
    found = compare(servers.reference(request_row), ours)
    difference = expected(request_row.name, where)
    if difference is None:
        assert found == {}, "reference, ours"
    else:
        assert set(found) == set(difference.aspects), found
        assert ours["status"] == difference.status, difference.reason
