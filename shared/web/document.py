"""The OpenAPI document of a service, with what every operation may answer."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from shared.door import SECURITY_SCHEMES
from shared.errors import PROBLEMS, Dialect
from shared.resources import declare_conditional
from shared.web.links import declare_links
from shared.web.routing import dialect_of, routes_of

_FOREIGN = frozenset({"ge", "gt", "le", "lt"})
_HTTP_METHODS = frozenset({"get", "head", "put", "post", "delete", "patch"})
_LICENSE = {"name": "Apache License 2.0", "identifier": "Apache-2.0"}
_SERVERS = [{"url": "/", "description": "where this document is"}]


def document_of(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document, with the errors any route may answer, as it words them, in place of FastAPI's own."""
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
        dialects = _dialects(app)
        for dialect in {PROBLEMS, *dialects.values()}:
            schemas.update(dialect.schemas)
        operations = _operations(document)
        _drop_foreign_bounds(document)
        declare_links(document)
        for (path, method), operation in operations.items():
            if method == "get":
                declare_conditional(operation)
            _declare_common_errors(operation, dialects.get((path, method), PROBLEMS))
            operation.setdefault("security", [])  # said, so that nobody takes it for forgotten
        if any(operation["security"] for operation in operations.values()):
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


def _dialects(app: FastAPI) -> dict[tuple[str, str], Dialect]:
    """How each operation words its errors, by path and method."""
    return {
        (route.path_format, method.lower()): dialect_of({"route": route})
        for route in routes_of(app)
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }


def _operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    paths = document.get("paths", {}).items()
    return {(path, method): one for path, all_ in paths for method, one in all_.items() if method in _HTTP_METHODS}


def _declare_common_errors(operation: dict[str, Any], dialect: Dialect) -> None:
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
    if "application/json" in responses.get("422", {}).get("content", {}):  # FastAPI's own shape
        del responses["422"]
    content = {dialect.media_type: {"schema": dialect.reference}}
    for status, description in common.items():
        worded = dialect.status_of(int(status))
        phrase = description if worded == int(status) else HTTPStatus(worded).phrase
        responses.setdefault(str(worded), {"description": phrase, "content": content})
