"""Renders every error as its route words it: ours, FastAPI's validation, Starlette's 404 and 405."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared.errors import BadRequest, FieldProblem, Invalid, ServiceError, field_problems
from shared.telemetry import current_trace_id
from shared.web.routing import allowed_methods, dialect_of

_log = logging.getLogger("shared.errors")


def install(app: FastAPI) -> None:
    """Make `app` answer every error as problem+json, or as the dialect of the matched route words it."""

    async def on_service_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ServiceError)  # noqa: S101 - registered for this class only
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.warning("%s", error.code, extra={"fields": {"detail": error.detail, "cause": repr(error.__cause__)}})
        return error_response(error, request.scope)

    async def on_validation_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
        return error_response(Invalid(errors=field_problems(error.errors())), request.scope)

    async def on_http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and (allowed := allowed_methods(request)):
            error.headers = {"Allow": allowed}
        return error_response(_from_http_exception(error), request.scope)

    app.add_exception_handler(ServiceError, on_service_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_exception)


def error_response(error: ServiceError, scope: Mapping[str, Any]) -> Response:
    """`error` as the answer to the request of `scope`, with its own headers (`Retry-After`, `WWW-Authenticate`)."""
    dialect = dialect_of(scope)
    body = dialect.body(error, instance=scope["path"], trace_id=current_trace_id())
    status = dialect.status_of(error.status)
    return Response(orjson.dumps(body), status_code=status, media_type=dialect.media_type, headers=error.headers)


class _MethodNotAllowed(ServiceError):
    status, code, title = 405, "common.method_not_allowed", "Method Not Allowed"
    meaning = "The path exists and has no such method; `Allow` names those it has."


class _NoRoute(ServiceError):
    status, code, title = 404, "common.no_route", "Not Found"
    meaning = "No operation of this API has this path."


def _from_http_exception(error: HTTPException) -> ServiceError:
    headers = dict(error.headers or {})
    match error.status_code:
        case 404:
            return _NoRoute("There is no such path.", headers=headers)
        case 405:
            return _MethodNotAllowed("This path does not answer to this method.", headers=headers)
        case 400:  # FastAPI: a form that could not be read at all
            return Invalid(
                "The body could not be parsed.",
                errors=[FieldProblem(pointer="", code="body_unreadable", detail="could not be parsed")],
            )
        case _:
            return BadRequest(str(error.detail), headers=headers)
