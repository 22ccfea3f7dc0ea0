"""Tools and their calls as chat asks for them."""

from typing import Annotated, Any, Final

import orjson
from fastapi import Path
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from shared.schemas import RequestModel, ResponseModel

_CALLED: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,128}$"
CalledName = Annotated[str, Path(pattern=_CALLED, description="of a tool, or `server.tool`")]


def _sendable(arguments: dict[str, Any]) -> dict[str, Any]:
    """What JSON is written of, before anything takes it to be."""
    try:
        orjson.dumps(arguments)
    except TypeError as error:
        raise PydanticCustomError("json_value", "must have no integer beyond 64 bits, and be JSON") from error
    return arguments


class CallableToolRead(ResponseModel):
    """A tool as a model is offered it."""

    name: str
    description: str
    parameters: dict[str, Any]
    needs_approval: bool
    timeout_seconds: float


class CallableToolsRead(ResponseModel):
    """Those of an agent that are executed here."""

    tools: list[CallableToolRead]


class ToolCall(RequestModel):
    """What a model made up for a tool."""

    arguments: Annotated[dict[str, Any], Field(max_length=64), AfterValidator(_sendable)] = {}


class CalledRead(ResponseModel):
    """What came of it."""

    content: str
    is_error: bool
    is_truncated: bool
