"""The file itself: valid for Kong, complete, and nothing in it that the runner would pass over."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from gateway.envoy.kong import KongFile, KongFileError, load, parsed
from gateway.envoy.plugins import PreFunction
from tests.architecture.apps import APPS
from tests.gateway.public import PUBLIC, Operation
from tests.gateway.running import HERE, KONG_FILE, REPOSITORY, edited

INSIDE = [
    "/internal/x",
    "/internal/tokens/delegate",
    "/internal/api-keys/exchange",
    "/internal/access/changes",
    "/internal/vectors/faiss/search",
    "/internal/vectors/catalogue/find",
    "/health/live",
    "/health/ready",
    "/metrics",
    "/api/v1/auth/internal",
    "/api/v1/auth/internal/x",
]


@pytest.fixture(scope="module")
def kong() -> KongFile:
    return load(KONG_FILE)


def test_structure_is_valid_for_kong() -> None:
    schema = json.loads((HERE / "kong_json_schema.json").read_text())

    jsonschema.Draft4Validator(schema).validate(parsed(KONG_FILE.read_text()))


def test_every_service_is_found_through_consul(kong: KongFile) -> None:
    assert {service.host for service in kong.services} == {f"{name}.service.consul" for name in APPS}


def test_every_service_proves_who_it_is(kong: KongFile) -> None:
    environment = (REPOSITORY / "gateway" / "kong.env").read_text()

    assert {(service.protocol, service.tls_verify) for service in kong.services} == {("https", True)}
    assert "KONG_NGINX_PROXY_PROXY_SSL_TRUSTED_CERTIFICATE=/run/secrets/tls_authority\n" in environment


def test_methods_are_the_services_matter(kong: KongFile) -> None:
    """Else one that a path lacks is a 404, and the route is tried by Kong before those that outrank it."""
    assert [route.name for service in kong.services for route in service.routes if route.methods] == []


def test_streams_outlive_three_heartbeats(kong: KongFile) -> None:
    unbuffered = [s for s in kong.services if any(not route.response_buffering for route in s.routes)]

    assert "chat" in [service.name for service in unbuffered]
    assert all(service.read_timeout > 3 * 15_000 for service in unbuffered)


def test_the_content_of_a_file_is_not_held_back(kong: KongFile) -> None:
    """Kong would write it to its own disk, for each who reads slowly."""
    held = {route.name: route.response_buffering for service in kong.services for route in service.routes}

    assert (held["vectors-file-content"], held["file-content"]) == (False, False)


def matches(pattern: str, path: str) -> bool:
    """Kong's rule: a path that starts with `~` is a regular expression, any other a prefix."""
    return bool(re.match(pattern[1:], path)) if pattern.startswith("~") else path.startswith(pattern)


def patterns(kong: KongFile) -> Iterator[tuple[str, str]]:
    """Every path of every route, with its service's name."""
    for service in kong.services:
        for route in service.routes:
            for pattern in route.paths:
                yield service.name, pattern


def leads_to(operation: Operation, service: str, pattern: str) -> bool:
    return service == operation.service and matches(pattern, operation.path)


def test_every_public_operation_is_routed_to_its_service(kong: KongFile) -> None:
    ways = list(patterns(kong))

    assert [str(one) for one in PUBLIC if not any(leads_to(one, *way) for way in ways)] == []


def test_every_route_leads_to_something_public(kong: KongFile) -> None:
    for service, pattern in patterns(kong):
        assert any(leads_to(one, service, pattern) for one in PUBLIC), pattern


@pytest.mark.parametrize("path", INSIDE)
def test_no_path_leads_inside(kong: KongFile, path: str) -> None:
    assert [pattern for _, pattern in patterns(kong) if matches(pattern, path)] == []


def test_operation_belongs_to_one_route_at_the_highest_priority(kong: KongFile) -> None:
    """Kong leaves the order among regular expressions of one priority undefined, so it must never matter."""
    for operation in PUBLIC:
        ranks = [
            route.regex_priority
            for service in kong.services
            for route in service.routes
            for pattern in route.paths
            if pattern.startswith("~") and matches(pattern, operation.path)
        ]
        assert ranks.count(max(ranks, default=0)) <= 1, operation


def test_kong_counts_every_body_that_it_keeps_and_no_other(kong: KongFile) -> None:
    """nginx.conf counts by the path what kong.yml decides by the route: an upload that is passed on takes no place."""
    found = re.search(r'"~(\S+)" passed;', (REPOSITORY / "gateway" / "nginx.conf").read_text())
    assert found
    routes = [(s.name, route) for s in kong.services for route in s.routes]
    for operation in PUBLIC:
        taking = [route for name, route in routes if any(leads_to(operation, name, path) for path in route.paths)]
        passed_on = not max(taking, key=lambda route: route.regex_priority).request_buffering

        assert bool(re.match(found[1], operation.path)) is passed_on, operation


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("name: prometheus", "name: jwt", "plugins[6]: "),
        ("max_age: 3600", "maximum_age: 3600", "plugins[0].cors.config.maximum_age: "),
        ("minute: 30000", "minute: 30000\n      hour: 40000", "plugins[5].rate-limiting.config: "),
        ("policy: local", "policy: redis", "plugins[5].rate-limiting.config.policy: "),
        ("limit_by: ip", "limit_by: consumer", "plugins[5].rate-limiting.config.limit_by: "),
        ("'*'", "'.*[.]example[.]com'", "plugins[0].cors.config.origins[0]: "),
        ("generator: uuid", "generator: tracker", "plugins[1].correlation-id.config.generator: "),
        ("        headers:\n", "        querystring: [x]\n        headers:\n", "config.remove.querystring: "),
        ("return", "return nil", "plugins[2].pre-function.config: "),
        ("clear_header", "get_header", "plugins[2].pre-function.config: "),
        ("name: auth-me,", "name: auth-me, hosts: [x],", "services[0].routes[6].hosts: "),
        ("strip_path: false", "strip_path: true", "services[0].routes[0].strip_path: "),
        ("retries: 5", "retries: 6", "services[0].retries: "),
        ("preserve_host: false", "preserve_host: true", "services[0].routes[0].preserve_host: "),
        ("tls_verify: true", "tls_verify: false", "services[0]: "),
        ("protocol: https", "protocol: http", "services[0]: "),
        ("write_timeout: 120000", "write_timeout: 1000", "services[2]: "),
        ("auth.service.consul", "auth.example.com", "services[0].host: "),
        ("name: agents-list", "name: agents-create", "document: "),
        ("plugins:\n  # Callers", "consumers: []\nplugins:\n  # Callers", "consumers: "),
        ('"3.0"', '"2.1"', "_format_version: "),
        ("'~/docs$'", "'~/docs$|/metrics'", "services[5].routes[3].paths[0]: "),
        ("'~/docs$'", "'~/docs($'", "services[5].routes[3].paths[0]: "),
    ],
)
def test_what_cannot_be_honoured_is_named_by_its_place(tmp_path: Path, old: str, new: str, place: str) -> None:
    path = edited(tmp_path, (old, new))

    with pytest.raises(KongFileError) as refusal:
        load(path)

    assert place in str(refusal.value)


def test_file_that_is_missing_or_no_yaml_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text("services: [")

    for path in (broken, tmp_path / "missing.yml"):
        with pytest.raises(KongFileError):
            load(path)


def kong_environment() -> dict[str, str]:
    lines = (REPOSITORY / "gateway" / "kong.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_kong_loads_exactly_the_plugins_of_the_file(kong: KongFile) -> None:
    in_routes = {plugin.name for service in kong.services for route in service.routes for plugin in route.plugins}
    used = {plugin.name for plugin in kong.plugins} | in_routes

    assert set(kong_environment()["KONG_PLUGINS"].split(",")) == used


def test_kong_lets_the_largest_body_reach_the_plugin_that_decides(kong: KongFile) -> None:
    megabytes = int(kong_environment()["KONG_NGINX_HTTP_CLIENT_MAX_BODY_SIZE"].removesuffix("m"))

    largest = max(plugin.config.max_bytes for s in kong.services for route in s.routes for plugin in route.plugins)

    assert megabytes * 2**20 > largest


def test_a_killed_instance_is_not_met_again(kong: KongFile) -> None:
    """Seen on Kong 3.9.3: of 550 requests 108 failed with one retry, none with five after failed connections only."""
    assert {service.retries for service in kong.services} == {5}
    assert kong_environment()["KONG_NGINX_PROXY_PROXY_NEXT_UPSTREAM"] == "error"


def test_a_service_that_was_away_is_found_again_in_three_seconds() -> None:
    """Kong keeps an empty answer of Consul's for so long, by default 30 s."""
    assert int(kong_environment()["KONG_DNS_NOT_FOUND_TTL"]) < 3


def test_every_kong_setting_is_explained() -> None:
    readme = (REPOSITORY / "gateway" / "README.md").read_text()

    assert [name for name in kong_environment() if f"`{name}`" not in readme] == []


def test_every_problem_of_the_gateway_is_in_the_catalogue(kong: KongFile) -> None:
    catalogue = (REPOSITORY / "docs" / "errors.md").read_text()
    problems = kong.plugin(PreFunction)
    assert problems is not None

    assert [p.code for p in problems.config.problems().values() if f"`{p.code}`" not in catalogue] == []
