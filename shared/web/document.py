"""The OpenAPI document of a service, with what every operation may answer."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from shared.door import SECURITY_SCHEMES
from shared.errors import PROBLEM_JSON, PROBLEM_REF, Problem
from shared.resources import declare_conditional
from shared.web.links import declare_links
from shared.web.routing import routes_of

_FOREIGN = frozenset({"ge", "gt", "le", "lt"})
_HTTP_METHODS = frozenset({"get", "head", "put", "post", "delete", "patch"})
_LICENSE = {"name": "Apache License 2.0", "identifier": "Apache-2.0"}
_SERVERS = [{"url": "/", "description": "where this document is"}]


def document_of(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document, with the errors any route may answer and problem+json where FastAPI assumes its own."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=routes_of(app),
            tags=app.openapi_tags,
            servers=_SERVERS,
            license_info=_LICENSE,
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(problem.pop("$defs", {}))
        schemas["Problem"] = problem
        paths = document.get("paths", {}).values()
        operations = [operation for path in paths for method, operation in path.items() if method in _HTTP_METHODS]
        _drop_foreign_bounds(document)
        declare_links(document)
        for operation in (path["get"] for path in paths if "get" in path):
            declare_conditional(operation)
        for operation in operations:
            _declare_common_errors(operation)
            operation.setdefault("security", [])  # said, so that nobody takes it for forgotten
        if any(operation["security"] for operation in operations):
            document["components"]["securitySchemes"] = SECURITY_SCHEMES
        app.openapi_schema = document
    return app.openapi_schema


def _drop_foreign_bounds(node: Any) -> None:
    """Out of schemas of moments, whose bounds Pydantic writes in words that JSON Schema has not."""
    if isinstance(node, dict):
        if node.get("format") == "date-time":
            for word in _FOREIGN & node.keys():
                del node[word]
        for part in node.values():
            _drop_foreign_bounds(part)
    elif isinstance(node, list):
        for part in node:
            _drop_foreign_bounds(part)


def _declare_common_errors(operation: dict[str, Any]) -> None:
    common = {
        "422": "Unprocessable Content",
        "429": "Too Many Requests",
        "500": "Internal Server Error",
        "503": "Service Unavailable",
        "504": "Gateway Timeout",
        "507": "Insufficient Storage",
    }
    if "requestBody" in operation:
        common |= {"413": "Content Too Large", "415": "Unsupported Media Type"}
    if operation.get("security"):
        common |= {"401": "Unauthorized", "403": "Forbidden"}
    responses = operation["responses"]
    for status, description in common.items():
        declared = responses.get(status)
        if declared is None or "application/json" in declared.get("content", {}):  # FastAPI's own 422 shape
            responses[status] = {"description": description, "content": {PROBLEM_JSON: {"schema": PROBLEM_REF}}}
