"""What the gateway does to requests and answers on the way: limits, CORS, ids, identity headers, errors."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.given_gateway import only_on
from tests.gateway.running import Edge, Gateway, edited, gateway

AGENTS = "/api/v1/agents/list"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
MEGABYTE = 2**20


def test_body_above_the_limit_is_refused(edge: Edge) -> None:
    answer = edge.client.post("/api/v1/agents/create", content=b"x" * (8 * MEGABYTE + 1))

    assert answer.status_code == 413
    assert answer.json()["code"] == "common.too_large"


@only_on("envoy", "Kong's size limit reads a body whose length is not told, and refuses it itself")
def test_body_without_a_length_is_left_to_its_service(edge: Edge) -> None:
    answer = edge.client.post("/api/v1/agents/create", content=(b"x" * MEGABYTE for _ in range(9)))

    assert answer.json()["body_bytes"] == 9 * MEGABYTE


def test_body_at_the_limit_arrives_whole(edge: Edge) -> None:
    assert edge.client.post("/api/v1/agents/create", content=b"x" * 8 * MEGABYTE).json()["body_bytes"] == 8 * MEGABYTE


def test_storing_vectors_has_a_larger_limit(edge: Edge) -> None:
    nine = b"x" * 9 * MEGABYTE

    assert edge.client.post("/api/v1/vectors/store", content=nine).json()["body_bytes"] == len(nine)
    assert edge.client.post("/api/v1/vectors/store", content=b"x" * (32 * MEGABYTE + 1)).status_code == 413


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, services: dict[str, str]) -> Iterator[Gateway]:
    """Three requests an hour, and loopback is a proxy we trust."""
    directory = tmp_path_factory.mktemp("narrow")
    few = edited(directory, ("minute: 30000", "hour: 3"))
    with gateway(directory, services, KONG_CONFIG=str(few), KONG_TRUSTED_IPS="127.0.0.0/8") as running:
        yield running


def test_flood_from_one_address_is_stopped_and_told_when_to_return(narrow: Gateway) -> None:
    answers = [narrow.client.get(AGENTS, headers={"X-Forwarded-For": "203.0.113.1"}) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    last = answers[-1]
    assert last.json()["code"] == "common.rate_limited"
    assert last.headers["ratelimit-limit"] == "3"
    assert int(last.headers["ratelimit-reset"]) > 0
    assert int(last.headers["retry-after"]) == 1200


def test_another_address_is_not_stopped(narrow: Gateway) -> None:
    for _ in range(4):
        narrow.client.get(AGENTS, headers={"X-Forwarded-For": "203.0.113.2"})

    assert narrow.client.get(AGENTS, headers={"X-Forwarded-For": "203.0.113.3"}).status_code == 200


def test_preflight_and_unknown_paths_do_not_count(narrow: Gateway) -> None:
    caller = {"X-Forwarded-For": "203.0.113.4"}
    for _ in range(5):
        narrow.client.options(AGENTS, headers={**caller, **PREFLIGHT})
        narrow.client.get("/nowhere", headers=caller)

    assert narrow.client.get(AGENTS, headers=caller).headers["ratelimit-remaining"] == "2"


def test_trusted_proxy_is_believed_about_the_caller(narrow: Gateway) -> None:
    claims = {
        "X-Forwarded-For": "198.51.100.7, 203.0.113.5, 127.0.0.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "api.example.com",
        "X-Forwarded-Port": "443",
    }

    seen = narrow.client.get(AGENTS, headers=claims).json()["headers"]

    assert seen["x-real-ip"] == "203.0.113.5"
    assert seen["x-forwarded-for"].replace(" ", "") == "198.51.100.7,203.0.113.5,127.0.0.9,127.0.0.1"
    assert (seen["x-forwarded-proto"], seen["x-forwarded-host"]) == ("https", "api.example.com")
    assert seen["x-forwarded-port"] == "443"


def test_untrusted_caller_is_not_believed(edge: Edge) -> None:
    claims = {
        "X-Forwarded-For": "198.51.100.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Path": "/elsewhere",
        "X-Real-IP": "198.51.100.7",
    }

    seen = edge.client.get(AGENTS, headers=claims).json()["headers"]

    assert seen["x-real-ip"] == "127.0.0.1"
    assert seen["x-forwarded-for"] == "198.51.100.7,127.0.0.1"
    assert seen["x-forwarded-proto"] == "http"
    assert seen["x-forwarded-host"] == edge.client.base_url.netloc.decode()
    assert seen["x-forwarded-port"] == str(edge.client.base_url.port)
    assert seen["x-forwarded-path"] == AGENTS


TOKEN = "g" * 40


@pytest.fixture(scope="module")
def proving(tmp_path_factory: pytest.TempPathFactory, services: dict[str, str]) -> Iterator[Gateway]:
    """It proves to the services who it is, and loopback is a proxy we trust."""
    directory = tmp_path_factory.mktemp("proving")
    with gateway(directory, services, GATEWAY_TOKEN=TOKEN, KONG_TRUSTED_IPS="127.0.0.0/8") as running:
        yield running


CLAIMS = [("X-Gateway-Token", "guessed"), ("x-gateway-token", "again"), ("X-Real-IP", "::1"), ("x-real-ip", "::2")]


def test_the_gateway_proves_itself_and_passes_no_claim_on(proving: Gateway) -> None:
    claims = [*CLAIMS, ("X-Forwarded-For", "203.0.113.5")]

    seen = proving.client.get(AGENTS, headers=claims).json()["headers"]

    assert (seen["x-gateway-token"], seen["x-real-ip"]) == (TOKEN, "203.0.113.5")


def test_a_gateway_without_a_token_passes_none_on(own_edge: Gateway) -> None:
    seen = own_edge.client.get(AGENTS, headers=CLAIMS).json()["headers"]

    assert "x-gateway-token" not in seen
    assert seen["x-real-ip"] == "127.0.0.1"


def test_the_token_lies_where_its_owner_alone_reads_it(proving: Gateway) -> None:
    holding = [path for path in proving.state_dir.rglob("*") if path.is_file() and TOKEN in path.read_text()]

    assert [(path.name, path.stat().st_mode & 0o777) for path in holding] == [("envoy.json", 0o600)]


PREFLIGHT = {
    "Origin": "https://app.example",
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "authorization",
}


def test_preflight_is_answered_at_the_edge(edge: Edge) -> None:
    answer = edge.client.options(AGENTS, headers=PREFLIGHT)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "Authorization" in answer.headers["access-control-allow-headers"].split(",")
    assert "PATCH" in answer.headers["access-control-allow-methods"].split(",")
    assert answer.headers["access-control-max-age"] == "3600"


def test_preflight_to_an_unknown_path_is_not_answered(edge: Edge) -> None:
    assert edge.client.options("/internal", headers=PREFLIGHT).status_code == 404


def test_options_without_preflight_reaches_the_service(edge: Edge) -> None:
    assert edge.client.options(AGENTS).json()["method"] == "OPTIONS"


@pytest.mark.parametrize("path", [AGENTS, "/nowhere"])
def test_foreign_page_may_read_answers_and_errors(edge: Edge, path: str) -> None:
    answer = edge.client.get(path, headers={"Origin": "https://app.example"})

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "X-Request-ID" in answer.headers["access-control-expose-headers"].split(",")


@pytest.mark.parametrize("path", [AGENTS, "/nowhere"])
def test_any_origin_is_said_to_every_caller(edge: Edge, path: str) -> None:
    """A cache may keep it for a page that asks later."""
    assert edge.client.get(path).headers["access-control-allow-origin"] == "*"


def test_only_listed_origins_may_read_when_there_is_a_list(tmp_path: Path, services: dict[str, str]) -> None:
    listed = edited(tmp_path, ("origins: ['*']", "origins: ['https://app.example', 'http://localhost:3000']"))

    with gateway(tmp_path / "state", services, KONG_CONFIG=str(listed)) as running:
        allowed = [
            running.client.get(path, headers={"Origin": origin}).headers.get("access-control-allow-origin")
            for path in (AGENTS, "/nowhere")
            for origin in ("https://app.example", "https://app-example", "https://evil.example")
        ]

    assert allowed == ["https://app.example", None, None] * 2


def test_request_id_of_the_caller_is_kept(edge: Edge) -> None:
    answer = edge.client.get(AGENTS, headers={"X-Request-ID": "my-id-1"})

    assert answer.json()["headers"]["x-request-id"] == "my-id-1"
    assert answer.headers.get_list("x-request-id") == ["my-id-1"]


def test_request_without_an_id_is_given_one(edge: Edge) -> None:
    answer = edge.client.get(AGENTS)

    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.headers["x-request-id"])
    assert answer.json()["headers"]["x-request-id"] == answer.headers["x-request-id"]


def test_trace_context_passes_through(edge: Edge) -> None:
    seen = edge.client.get(AGENTS, headers={"traceparent": TRACEPARENT, "tracestate": "a=b"}).json()["headers"]

    assert (seen["traceparent"], seen["tracestate"]) == (TRACEPARENT, "a=b")


@pytest.mark.parametrize(
    "name",
    [
        "X-Forwarded-Prefix",
        "X-Kong-Request-Id",
        "X-User-Id",
        "x-consumer-username",
        "X-Tenant-ID",
        "X-Authenticated-Userid",
    ],
)
def test_claimed_identity_stops_at_the_edge(edge: Edge, name: str) -> None:
    """Kong says some of them itself."""
    assert edge.client.get(AGENTS, headers={name: "admin"}).json()["headers"].get(name.lower()) != "admin"


def test_caller_cannot_steer_the_proxy(own_edge: Gateway, narrow: Gateway) -> None:
    steering = {
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-retry-on": "5xx",
        "x-envoy-max-retries": "9",
        "x-envoy-internal": "true",
        "x-envoy-original-path": "/internal",
    }

    directly = own_edge.client.get(AGENTS, headers=steering).json()["headers"]
    by_proxy = narrow.client.get(AGENTS, headers={**steering, "X-Forwarded-For": "10.0.0.1"}).json()["headers"]

    assert [name for name in (*directly, *by_proxy) if name.startswith("x-envoy")] == []


def test_a_service_is_sent_the_name_of_its_certificate_and_told_what_the_caller_wrote(edge: Edge) -> None:
    seen = edge.client.get(AGENTS, headers={"Host": "api.example.com"}).json()["headers"]

    assert (seen["host"], seen["x-forwarded-host"]) == ("agents.service.consul", "api.example.com")


def test_problem_has_every_member(edge: Edge) -> None:
    answer = edge.client.get("/nowhere?secret=1", headers={"traceparent": TRACEPARENT, "X-Request-ID": "r-1"})

    assert answer.json() == {
        "type": "/docs/errors#common.no_route",
        "title": "Not Found",
        "status": 404,
        "detail": "No operation of this API answers to this method and path.",
        "code": "common.no_route",
        "instance": "/nowhere",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }
    assert answer.headers["x-request-id"] == "r-1"
    assert answer.headers["x-trace-id"] == answer.json()["trace_id"]


@pytest.mark.parametrize("traceparent", [None, "nonsense", "00-xyz-1-01"])
def test_problem_outside_of_a_trace_is_named_by_the_request_id(edge: Edge, traceparent: str | None) -> None:
    answer = edge.client.get("/nowhere", headers={"traceparent": traceparent} if traceparent else {})

    assert answer.json()["trace_id"] == answer.headers["x-request-id"].replace("-", "")


def test_error_of_a_service_passes_untouched(edge: Edge) -> None:
    answer = edge.client.get(AGENTS, headers={"x-test": "fail"})

    assert (answer.status_code, answer.json()) == (503, {"code": "own.unavailable"})
