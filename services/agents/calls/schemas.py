"""Tools and their calls as chat asks for them."""

from typing import Annotated, Any, Final

from fastapi import Path
from pydantic import Field

from shared.schemas import RequestModel, ResponseModel

_CALLED: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,128}$"
CalledName = Annotated[str, Path(pattern=_CALLED, description="of a tool, or `server.tool`")]


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

    arguments: dict[str, Any] = Field(default={}, max_length=64)


class CalledRead(ResponseModel):
    """What came of it."""

    content: str
    is_error: bool
    is_truncated: bool
