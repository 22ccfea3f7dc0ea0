"""What is public is exactly what the services document: nothing forgotten in the route file, nothing extra in it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from local.layout import REPOSITORY
from tests.architecture.test_documents import operations

KONG_FILE = Path(REPOSITORY) / "gateway" / "kong.yml"
PORTAL = {
    ("GET", "/api/v1/health/check"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/docs/errors"),
    *{("GET", f"/api/v1/{name}/docs") for name in ("auth", "agents", "chat", "vectors", "tasks")},
    *{("GET", f"/api/v1/{name}/openapi.json") for name in ("auth", "agents", "chat", "vectors", "tasks")},
}
PRIVATE = [
    "/internal/tokens/delegate",
    "/internal/api-keys/exchange",
    "/internal/access/changes",
    "/health/ready",
    "/metrics",
    "/api/v1/auth/internal",
]


def routes() -> Iterator[dict[str, Any]]:
    for service in yaml.safe_load(KONG_FILE.read_text())["services"]:
        yield from service["routes"]


def is_routed(method: str, path: str) -> bool:
    """Kong's rule: a path that starts with `~` is a regular expression, any other a prefix."""
    return any(
        method in route.get("methods", [method])
        and any(
            re.match(pattern[1:], path) if pattern.startswith("~") else path.startswith(pattern)
            for pattern in route["paths"]
        )
        for route in routes()
    )


def concrete(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "01890a5d-ac96-774b-bcce-b302099a8057", path)


def test_every_documented_operation_is_routed() -> None:
    documented = {(method, concrete(path)) for _, method, path, _ in operations()} | PORTAL

    assert [one for one in sorted(documented) if not is_routed(*one)] == []


def test_nothing_private_is_routed() -> None:
    assert [path for path in PRIVATE for method in ("GET", "POST") if is_routed(method, path)] == []
