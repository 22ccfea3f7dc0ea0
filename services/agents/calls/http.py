"""Calls of the kind `http`: arguments become a request, and its answer text."""

from collections.abc import Mapping
from typing import Any

import orjson

from services.agents.calls.domain import MOST_BYTES, Called, ToolFailed
from services.agents.calls.reducing import reduced
from services.agents.errors import ToolArgumentsInvalid, escaped
from services.agents.tools.domain import HttpCall
from services.agents.tools.templates import ArgumentRefused, UrlTemplate
from shared.errors import FieldProblem
from shared.json_schema import JsonSchema, SchemaRefused
from shared.outbound import OutboundClient, OutboundError, OutboundRequest, Owner

_ACCEPT = "application/json, text/*;q=0.9, */*;q=0.1"


def require_fit(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    """Raises ToolArgumentsInvalid; ToolFailed for a schema that an earlier release took."""
    try:
        found = JsonSchema(schema).problems(arguments)
    except SchemaRefused as error:
        raise ToolFailed("The schema of the tool's arguments is too large: define it anew.") from error
    problems = [
        FieldProblem(pointer=f"/arguments{problem.pointer}", code="argument_invalid", detail=problem.detail)
        for problem in found
    ]
    if problems:
        raise ToolArgumentsInvalid(problems)


class HttpTools:
    """Sends one request for each call, through the guard."""

    def __init__(self, outbound: OutboundClient) -> None:
        self._outbound = outbound

    async def call(
        self, owner: Owner, target: HttpCall, arguments: Mapping[str, Any], headers: Mapping[str, str], seconds: float
    ) -> Called:
        """Raises ToolArgumentsInvalid, and ToolFailed where no answer came."""
        require_fit(target.parameters, arguments)
        request = _request(target, arguments, headers, seconds)
        try:
            return reduced(await self._outbound.of(owner).ask(request))
        except OutboundError as error:
            raise ToolFailed(error.detail) from error


def _request(
    target: HttpCall, arguments: Mapping[str, Any], headers: Mapping[str, str], seconds: float
) -> OutboundRequest:
    template = UrlTemplate(target.url)
    rest = _rest(target, template, arguments)
    inside = _inside(target, rest)
    try:
        url = template.filled(arguments, _for_query(template, rest, inside))
    except ArgumentRefused as error:
        problem = FieldProblem(
            pointer=f"/arguments/{escaped(error.name)}", code="argument_invalid", detail=error.detail
        )
        raise ToolArgumentsInvalid([problem]) from error
    has_body = target.method.has_body or bool(target.body)
    named = {name.lower() for name in headers}
    own = {"accept": _ACCEPT} | ({"content-type": "application/json"} if has_body else {})
    return OutboundRequest(
        method=target.method,
        url=url,
        seconds=seconds,
        most_bytes=MOST_BYTES,
        headers={name: value for name, value in own.items() if name not in named} | dict(headers),
        body=orjson.dumps({name: arguments[name] for name in inside}) if has_body else None,
    )


def _rest(target: HttpCall, template: UrlTemplate, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What no placeholder takes. What the definition does not name is not sent: a schema may let anything through."""
    known = target.parameters.get("properties", {})
    return {name: value for name, value in arguments.items() if name in known and name not in template.names}


def _for_query(template: UrlTemplate, rest: Mapping[str, Any], inside: list[str]) -> dict[str, Any]:
    """Without what the URL says itself: definitions of before may have an argument of such a name."""
    fixed = template.in_query
    return {name: value for name, value in rest.items() if name not in inside and name not in fixed}


def _inside(target: HttpCall, rest: Mapping[str, Any]) -> list[str]:
    """The arguments that are members of the body."""
    if target.body is None:
        return list(rest) if target.method.has_body else []
    return [name for name in target.body if name in rest]
