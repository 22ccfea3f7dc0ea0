"""The file itself: valid for Kong, complete, and nothing in it that the runner would pass over."""

import json
import re
from itertools import product
from pathlib import Path

import jsonschema
import pytest
import yaml

from gateway.envoy.kong import KongFile, KongFileError, load
from gateway.envoy.plugins import PostFunction
from tests.gateway.running import HERE, KONG_FILE, REPOSITORY, edited

ID = "0190f3a8-1111-7000-8000-000000000000"
PUBLIC = {
    "auth": [
        "POST /api/v1/auth/register",
        "POST /api/v1/auth/token",
        "POST /api/v1/auth/logout",
        "POST /api/v1/auth/revoke",
        "POST /api/v1/auth/introspect",
        "POST /api/v1/auth/password",
        "GET /api/v1/auth/me",
        "PATCH /api/v1/auth/me",
        "POST /api/v1/auth/api-keys",
        "GET /api/v1/auth/api-keys",
        f"DELETE /api/v1/auth/api-keys/{ID}",
        f"POST /api/v1/auth/api-keys/{ID}/rotate",
        "GET /api/v1/auth/members",
        f"PATCH /api/v1/auth/members/{ID}",
        f"DELETE /api/v1/auth/members/{ID}",
        "DELETE /api/v1/auth/members/me",
        "POST /api/v1/auth/invitations",
        "GET /api/v1/auth/invitations",
        f"DELETE /api/v1/auth/invitations/{ID}",
        "POST /api/v1/auth/invitations/accept",
        "GET /api/v1/auth/.well-known/oauth-authorization-server",
        "GET /api/v1/auth/jwks.json",
        "POST /api/v1/auth/api-keys/find",
        "GET /api/v1/auth/users",
        f"GET /api/v1/auth/users/{ID}",
        f"POST /api/v1/auth/users/{ID}/disable",
        f"POST /api/v1/auth/users/{ID}/enable",
        f"POST /api/v1/auth/users/{ID}/unlock",
        "GET /api/v1/auth/audit",
        "GET /api/v1/auth/openapi.json",
    ],
    "agents": [
        "POST /api/v1/agents/create",
        "GET /api/v1/agents/list",
        f"GET /api/v1/agents/{ID}",
        f"PATCH /api/v1/agents/{ID}",
        f"DELETE /api/v1/agents/{ID}",
        "GET /api/v1/agents/openapi.json",
    ],
    "chat": [
        "POST /api/v1/chat/message",
        "GET /api/v1/chat/conversations",
        f"GET /api/v1/chat/conversations/{ID}",
        f"PATCH /api/v1/chat/conversations/{ID}",
        f"DELETE /api/v1/chat/conversations/{ID}",
        f"GET /api/v1/chat/conversations/{ID}/messages",
        "GET /api/v1/chat/openapi.json",
    ],
    "vectors": [
        "POST /api/v1/vectors/collections",
        "GET /api/v1/vectors/collections",
        "GET /api/v1/vectors/collections/docs",
        "DELETE /api/v1/vectors/collections/docs",
        "GET /api/v1/vectors/collections/docs/records/a%2Fb",
        "DELETE /api/v1/vectors/collections/docs/records/1",
        "POST /api/v1/vectors/store",
        "POST /api/v1/vectors/search",
        "POST /api/v1/vectors/delete",
        "GET /api/v1/vectors/engines",
        "GET /api/v1/vectors/openapi.json",
    ],
    "tasks": [
        "POST /api/v1/tasks/submit",
        f"GET /api/v1/tasks/status/{ID}",
        "GET /api/v1/tasks/list",
        f"POST /api/v1/tasks/{ID}/cancel",
        "GET /api/v1/tasks/kinds",
        "GET /api/v1/tasks/openapi.json",
    ],
    "portal": [
        "GET /api/v1/health/check",
        "GET /api/v1/openapi.json",
        "GET /docs",
        "GET /docs/errors",
        "GET /docs/assets/swagger/swagger-ui.css",
        *(f"GET /api/v1/{service}/docs" for service in ("auth", "agents", "chat", "vectors", "tasks")),
    ],
}
OPERATIONS = [(operation, service) for service, operations in PUBLIC.items() for operation in operations]


@pytest.fixture(scope="module")
def kong() -> KongFile:
    return load(KONG_FILE)


def test_structure_is_valid_for_kong() -> None:
    schema = json.loads((HERE / "kong_json_schema.json").read_text())

    jsonschema.Draft4Validator(schema).validate(yaml.safe_load(KONG_FILE.read_text()))


def test_every_service_is_found_through_consul(kong: KongFile) -> None:
    assert {service.host for service in kong.services} == {f"{name}.service.consul" for name in PUBLIC}


def test_preflight_is_possible_on_every_route(kong: KongFile) -> None:
    assert all("OPTIONS" in route.methods for service in kong.services for route in service.routes)


def test_streams_outlive_three_heartbeats(kong: KongFile) -> None:
    unbuffered = [s for s in kong.services if any(not route.response_buffering for route in s.routes)]

    assert [service.name for service in unbuffered] == ["chat"]
    assert all(service.read_timeout > 3 * 15_000 for service in unbuffered)


def test_no_path_leads_inside(kong: KongFile) -> None:
    paths = [path for service in kong.services for route in service.routes for path in route.paths]
    inside = ["/internal/x", "/health/live", "/health/ready", "/metrics", "/api/v1/auth/internal/x"]

    for path, target in product(paths, inside):
        matches = re.match(path[1:], target) if path.startswith("~") else target.startswith(path)
        assert not matches, f"{path} matches {target}"


def test_operation_belongs_to_one_route_at_the_highest_priority(kong: KongFile) -> None:
    """Kong leaves the order among regular expressions of one priority undefined, so it must never matter."""
    for operation, _ in OPERATIONS:
        method, path = operation.split()
        ranks = [
            route.regex_priority
            for service in kong.services
            for route in service.routes
            for pattern in route.paths
            if pattern.startswith("~") and method in route.methods and re.match(pattern[1:], path)
        ]
        assert ranks.count(max(ranks, default=0)) <= 1, operation


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("name: prometheus", "name: jwt", "plugins[5]: "),
        ("max_age: 3600", "maximum_age: 3600", "plugins[0].cors.config.maximum_age: "),
        ("minute: 30000", "minute: 30000\n      hour: 40000", "plugins[4].rate-limiting.config: "),
        ("policy: local", "policy: redis", "plugins[4].rate-limiting.config.policy: "),
        ("limit_by: ip", "limit_by: consumer", "plugins[4].rate-limiting.config.limit_by: "),
        ("'*'", "'.*[.]example[.]com'", "plugins[0].cors.config.origins[0]: "),
        ("generator: uuid", "generator: tracker", "plugins[1].correlation-id.config.generator: "),
        ("        headers:\n", "        querystring: [x]\n        headers:\n", "config.remove.querystring: "),
        ("return", "return nil", "plugins[6].post-function.config: "),
        ("name: auth-me,", "name: auth-me, hosts: [x],", "services[0].routes[6].hosts: "),
        ("strip_path: false", "strip_path: true", "services[0].routes[0].strip_path: "),
        ("retries: 1", "retries: 5", "services[0].retries: "),
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


def test_every_kong_setting_is_explained() -> None:
    readme = (REPOSITORY / "gateway" / "README.md").read_text()

    assert [name for name in kong_environment() if f"`{name}`" not in readme] == []


def test_every_problem_of_the_gateway_is_in_the_catalogue(kong: KongFile) -> None:
    catalogue = (REPOSITORY / "docs" / "errors.md").read_text()
    problems = kong.plugin(PostFunction)
    assert problems is not None

    assert [p.code for p in problems.config.problems().values() if f"`{p.code}`" not in catalogue] == []
