"""What the gateway must let through, from the services' documents; by hand only what no document knows."""

import re
from typing import NamedTuple

from services.topology import SERVICES
from tests.architecture.apps import APPS, operations

ID = "0190f3a8-1111-7000-8000-000000000000"
# Documents themselves and pages are in no document; nor is it that what a caller named looks like a route.
UNDOCUMENTED = {
    **{name: [f"GET /api/v1/{name}/openapi.json"] for name in SERVICES},
    "auth": ["GET /api/v1/auth/openapi.json", "GET /.well-known/oauth-authorization-server/api/v1/auth"],
    "vectors": [
        "GET /api/v1/vectors/openapi.json",
        "GET /api/v1/vectors/collections/docs",
        "DELETE /api/v1/vectors/collections/docs",
        "GET /api/v1/vectors/collections/docs/records/a%2Fb",
        "DELETE /api/v1/vectors/collections/docs/records/1",
        "GET /api/v1/vectors/collections/docs/records",
        "PATCH /api/v1/vectors/collections/docs/records/1",
        "GET /api/v1/vectors/usage",
    ],
    "portal": [
        "GET /api/v1/openapi.json",
        "GET /docs",
        "GET /docs/errors",
        "GET /docs/assets/swagger/swagger-ui.css",
        *(f"GET /api/v1/{name}/docs" for name in SERVICES),
    ],
}


class Operation(NamedTuple):
    """A request as callers send it, and who is to get it."""

    service: str
    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _public() -> list[Operation]:
    documented = [Operation(app, method, re.sub(r"\{[^}]+\}", ID, path)) for app, method, path, _ in operations(*APPS)]
    return documented + [Operation(app, *one.split()) for app, found in UNDOCUMENTED.items() for one in found]


PUBLIC = _public()
