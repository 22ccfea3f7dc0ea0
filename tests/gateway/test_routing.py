"""What is public reaches its service, and what is not reaches nobody."""

import json

import httpx
import pytest

from tests.gateway.public import ID, PUBLIC, Operation
from tests.gateway.running import Edge

NOWHERE = [
    "GET /",
    "GET /internal",
    "POST /internal/keys/exchange",
    "GET /health/live",
    "GET /health/ready",
    "GET /metrics",
    "GET /api/v1/auth/internal",
    "GET /api/v1/auth/internal/keys",
    "GET /api/v1/health/check/more",
    "GET /api/v1/unknown",
    f"GET /api/v1/agents/{ID}/unknown",
    "GET /api/v1/agents/create/",
    "GET /docs/../internal",
    "GET /docs/%2e%2e/metrics",
    "GET //internal",
    "GET /API/v1/agents/list",
]


@pytest.mark.parametrize("operation", PUBLIC, ids=str)
def test_operation_reaches_its_service(edge: Edge, operation: Operation) -> None:
    answer = edge.client.request(operation.method, operation.path, params={"limit": "2"})

    seen = json.loads(answer.raise_for_status().headers["x-seen"])
    assert (seen["service"], seen["method"], seen["query"]) == (operation.service, operation.method, "limit=2")
    assert seen["path"] == httpx.URL(operation.path).path


@pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_what_a_path_answers_to_is_for_its_service_to_say(edge: Edge, method: str) -> None:
    answer = edge.client.request(method, "/api/v1/agents/create")

    seen = json.loads(answer.raise_for_status().headers["x-seen"])
    assert (seen["service"], seen["method"]) == ("agents", method)


@pytest.mark.parametrize("operation", NOWHERE)
def test_everything_else_is_a_problem(edge: Edge, operation: str) -> None:
    method, path = operation.split()

    answer = edge.client.send(raw_request(edge, method, path))

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "common.no_route"


def raw_request(edge: Edge, method: str, path: str) -> httpx.Request:
    """A request whose path is sent as it stands, dots and all."""
    url = edge.client.base_url.copy_with(raw_path=path.encode())
    return httpx.Request(method, url, extensions={"target": path.encode()})


def test_id_with_an_encoded_slash_stays_one_segment(edge: Edge) -> None:
    seen = edge.client.get("/api/v1/vectors/collections/a%2F..%2Fb").json()

    assert seen["path"] == "/api/v1/vectors/collections/a/../b"
    assert seen["service"] == "vectors"
