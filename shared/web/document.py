"""The OpenAPI document of a service, with what every operation may answer."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from shared.door import SECURITY_SCHEMES
from shared.errors import PROBLEMS, Dialect
from shared.web.routing import dialect_of, routes_of

_HTTP_METHODS = frozenset({"get", "head", "put", "post", "delete", "patch"})


def document_of(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document, with the errors any route may answer, as it words them, in place of FastAPI's own."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=routes_of(app),
            tags=app.openapi_tags,
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        dialects = _dialects(app)
        for dialect in {PROBLEMS, *dialects.values()}:
            schemas.update(dialect.schemas)
        operations = _operations(document)
        for (path, method), operation in operations.items():
            _declare_common_errors(operation, dialects.get((path, method), PROBLEMS))
        if any("security" in operation for operation in operations.values()):
            document["components"]["securitySchemes"] = SECURITY_SCHEMES
        app.openapi_schema = document
    return app.openapi_schema


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
