"""The use case around OpenAPI: tools made of operations, all of them or none."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from services.agents.errors import OpenApiUnreadable, OperationInexpressible, escaped
from services.agents.openapi.addresses import url_of
from services.agents.openapi.domain import Document, Inexpressible
from services.agents.openapi.reading import Operation, described, drafted, operations_of, require_version
from services.agents.openapi.schemas import ToolsImport
from services.agents.openapi.shapes import TOO_LARGE
from services.agents.tools.domain import Put
from services.agents.tools.schemas import HttpToolPut
from services.agents.tools.service import ToolService
from shared.door import Bounds, TooComplex, json_of
from shared.errors import FieldProblem
from shared.identity import Caller
from shared.limits import Shares, ShareTaken
from shared.outbound import OutboundClient, OutboundError, OutboundRequest, Owner

KIB: Final = 2_048
VALUES: Final = 50_000
TEXTS: Final = 100_000
DEPTH: Final = 48
_FETCH_SECONDS: Final = 10.0
_FETCHES: Final = 16
_OK: Final = 200
_UNKNOWN: Final = "operation_unknown"


@dataclass(frozen=True, slots=True)
class Imported:
    """A tool, and what of its operation it does not send."""

    operation: str
    put: Put
    left_out: list[str]


@dataclass(frozen=True, slots=True)
class _Made:
    """Of an operation, before it is anybody's."""

    definition: HttpToolPut
    left_out: list[str]
    schemes: set[str]
    """Of security, for which it names secrets."""


class OpenApiService:
    """Imports into the caller's tenant. Raises Unavailable when Neo4j cannot serve."""

    def __init__(self, tools: ToolService, outbound: OutboundClient) -> None:
        self._tools, self._outbound = tools, outbound
        self._fetches = Shares("documents", _FETCHES)

    async def create(self, caller: Caller, body: ToolsImport) -> list[Imported]:
        """Each tool as its operation says it, defined where there is none; all of them, or none.

        Raises OpenApiUnreadable, OperationInexpressible, ShareTaken, and what defining a tool does.
        """
        document = await self._fetched(caller, body.url) if body.url else body.document
        assert document is not None  # noqa: S101 - the body has one of the two
        made = await asyncio.to_thread(_made, body, document)  # a large document takes a while
        puts = await self._tools.put_all(caller, {name: one.definition.content for name, one in made.items()})
        return [Imported(body.operations[name], puts[name], one.left_out) for name, one in made.items()]

    async def _fetched(self, caller: Caller, url: str) -> dict[str, Any]:
        place = self._fetches.take(caller.tenant_id, caller.subject)
        if place is None:
            raise ShareTaken("All together", self._fetches.what, self._fetches.places)
        asked = OutboundRequest("GET", url, _FETCH_SECONDS, KIB * 2**10, {"accept": "application/json"})
        try:
            content = await self._outbound.of(Owner(caller.tenant_id, caller.subject)).ask(asked)
        except OutboundError as error:
            raise OpenApiUnreadable(error.detail) from error
        finally:
            place.give_back()
        if content.status != _OK:
            raise OpenApiUnreadable(f"The server answered with the status {content.status}.")
        if content.is_cut:
            raise OpenApiUnreadable(f"The document has more than {KIB:,} KiB.")
        return await asyncio.to_thread(_parsed, content.body)


def _parsed(body: bytes) -> dict[str, Any]:
    """Held to what a body of a request may be. Raises OpenApiUnreadable."""
    try:
        Bounds(kib=KIB, values=VALUES, texts=TEXTS, depth=DEPTH).require_shape(body)
        document = json_of(body)
    except TooComplex as error:
        raise OpenApiUnreadable("The document holds too many values, or they stand too deep in each other.") from error
    except (ValueError, RecursionError) as error:
        raise OpenApiUnreadable("The document is no JSON.") from error
    if not isinstance(document, dict):
        raise OpenApiUnreadable("The document is no JSON object.")
    return document


def _made(body: ToolsImport, document: dict[str, Any]) -> dict[str, _Made]:
    """Each tool by its name, with what it leaves out. Raises OperationInexpressible with what is in the way.

    An operation that is wanted by several names is read once. After one that is too large no other is read.
    """
    try:
        _require_plain(document)
        require_version(document)
        found = operations_of(Document(document), set(body.operations.values()))
    except Inexpressible as error:
        raise OperationInexpressible([_problem(error)]) from error
    made: dict[str, _Made] = {}
    problems: dict[str, list[FieldProblem]] = {}
    for name, operation_id in body.operations.items():
        if operation_id in made or operation_id in problems:
            continue
        try:
            made[operation_id] = _tool(body, found.get(operation_id))
        except Inexpressible as error:
            problems[operation_id] = [_problem(error, name)]
            if error.code == TOO_LARGE:
                break
        except ValidationError as error:
            problems[operation_id] = _refused(_place(name), error)
    if problems:
        raise OperationInexpressible([problem for of_one in problems.values() for problem in of_one])
    if unused := sorted(body.secrets.keys() - {scheme for one in made.values() for scheme in one.schemes}):
        raise OperationInexpressible([_unused(name) for name in unused])
    return {name: made[operation_id] for name, operation_id in body.operations.items()}


def _require_plain(document: dict[str, Any]) -> None:
    """Raises Inexpressible for halves of characters, and numbers that JSON does not have: no answer could name them."""
    try:
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        detail = "The document has halves of characters, or numbers that JSON does not have."
        raise Inexpressible("", "document_invalid", detail) from error


def _tool(body: ToolsImport, operation: Operation | None) -> _Made:
    """Raises Inexpressible, ValidationError for what no tool may have."""
    if operation is None:
        raise Inexpressible("", _UNKNOWN, "There is no such operation.")
    draft = drafted(operation, body.secrets)
    definition: Mapping[str, Any] = {
        "kind": "http",
        "description": described(operation),
        "method": operation.method.upper(),
        "url": url_of(operation, body.server, body.url),
        "parameters": draft.parameters,
        "body": draft.body,
        "headers": draft.headers,
        "needs_approval": body.needs_approval,
        "timeout_seconds": body.timeout_seconds,
    }
    return _Made(HttpToolPut.model_validate(definition), draft.left_out, draft.schemes)


def _place(name: str) -> str:
    return f"/operations/{escaped(name)}"


def _unused(scheme: str) -> FieldProblem:
    detail = "None of the operations uses this security scheme, or all of them another before it."
    return FieldProblem(pointer=f"/secrets/{escaped(scheme)}", code="secret_unused", detail=detail)


def _problem(error: Inexpressible, name: str = "") -> FieldProblem:
    pointer = _place(name) if error.code == _UNKNOWN else f"/document{error.pointer}"
    return FieldProblem(pointer=pointer, code=error.code, detail=error.detail)


def _refused(pointer: str, error: ValidationError) -> list[FieldProblem]:
    """What a caller who defines such a tool would be told."""
    found = []
    for one in error.errors(include_url=False, include_context=False, include_input=False)[:5]:
        place = ".".join(map(str, one["loc"]))[:64]
        detail = f"{place}: {one['msg']}" if place else one["msg"]
        found.append(FieldProblem(pointer=pointer, code=one["type"], detail=detail[:300]))
    return found
