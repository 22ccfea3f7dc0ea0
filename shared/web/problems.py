"""Renders every error as problem+json: ours, FastAPI's validation, Starlette's 404 and 405."""

import logging
from collections.abc import Callable
from http import HTTPStatus

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared.errors import PROBLEM_JSON, BadRequest, FieldProblem, Invalid, ServiceError, field_problems, problem_body
from shared.telemetry import current_trace_id
from shared.web.routing import allowed_methods

_log = logging.getLogger("shared.errors")

Renderer = Callable[[Request, ServiceError], Response]


def install(app: FastAPI, render: Renderer | None = None) -> None:
    """Make `app` answer every error as problem+json, or as `render` draws it for the paths that speak another shape."""
    draw = render or (lambda request, error: problem_response(error, instance=request.url.path))

    async def on_service_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ServiceError)  # noqa: S101 - registered for this class only
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.warning("%s", error.code, extra={"fields": {"detail": error.detail, "cause": repr(error.__cause__)}})
        return draw(request, error)

    async def on_validation_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
        return draw(request, Invalid(errors=field_problems(error.errors())))

    async def on_http_exception(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and (allowed := allowed_methods(request)):
            error.headers = {"Allow": allowed}
        return draw(request, _from_http_exception(error))

    app.add_exception_handler(ServiceError, on_service_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_exception)


def problem_response(error: ServiceError, *, instance: str) -> Response:
    """`error` as an answer, with its own headers (`Retry-After`, `WWW-Authenticate`)."""
    body = problem_body(error, instance=instance, trace_id=current_trace_id())
    return Response(orjson.dumps(body), status_code=error.status, media_type=PROBLEM_JSON, headers=error.headers)


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
