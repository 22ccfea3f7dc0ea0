"""Tools as callers write and read them."""

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from fastapi import Body, Path
from pydantic import AfterValidator, BaseModel, Field, PlainValidator, model_validator

from services.agents.schemas import unique
from services.agents.tools.checks import (
    fillable_url,
    plain_url,
    refused,
    schema_of_objects,
    sendable_headers,
    unreserved_name,
)
from services.agents.tools.domain import BuiltIn, HttpCall, McpServer, Method, Tool, ToolContent, ToolKind
from services.agents.tools.templates import UrlTemplate
from shared.schemas import RequestModel, ResponseModel, Text, UtcDatetime

# No dot: what stands before one is a tool of ours or a server, what stands behind it is one of its tools.
_TOOL: Final = r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$"
_TOOL_OR_BUILT_IN: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"
# A name of punctuation alone tells a model nothing, and nobody else: what is made now has a letter or a digit.
_NEW_TOOL: Final = r"^(_[_-]*)?[A-Za-z0-9][A-Za-z0-9_-]*$"
_OF_A_SERVER: Final = r"^(_[_.-]*)?[A-Za-z0-9][A-Za-z0-9_.-]*$"
_ARGUMENT: Final = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"

ToolName = Annotated[str, Path(pattern=_TOOL, description="of the tool", examples=["weather"])]
NewToolName = Annotated[
    str,
    Path(pattern=_NEW_TOOL, max_length=64, description="of the tool", examples=["weather"]),
    AfterValidator(unreserved_name),
]
ImportedToolName = Annotated[str, Field(pattern=_NEW_TOOL, max_length=64), AfterValidator(unreserved_name)]
AnyToolName = Annotated[
    str,
    Path(pattern=_TOOL_OR_BUILT_IN, description="of a tool of the tenant, or of a built-in one", examples=["weather"]),
]
Headers = Annotated[
    dict[str, Annotated[Text, Field(max_length=2048)]],
    Field(
        max_length=16,
        description="sent with each call; `${secret:NAME}` stands for the value of that secret",
        examples=[{"X-Units": "metric"}],
    ),
    AfterValidator(sendable_headers),
]
TimeoutSeconds = Annotated[
    float, Field(strict=True, ge=0.1, le=50, description="for one call, all of it", examples=[20.0])
]


class _ToolPut(RequestModel):
    headers: Headers = {}
    needs_approval: bool = Field(default=False, description="whether a person has to agree to each call")
    timeout_seconds: TimeoutSeconds = 20.0


class HttpToolPut(_ToolPut):
    """A request that the model's arguments are put into."""

    kind: Literal["http"] = Field(examples=["http"])
    description: Annotated[
        Text,
        Field(min_length=1, max_length=1024, description="what the model is told", examples=["The weather of a city."]),
    ]
    method: Method = Method.GET
    url: Annotated[
        str,
        Field(
            min_length=8,
            max_length=2048,
            description="with `{placeholders}` for arguments, in the path and the query",
            examples=["https://weather.example.com/v1/{city}?days={days}"],
        ),
        AfterValidator(fillable_url),
    ]
    parameters: Annotated[
        dict[str, Any],
        Field(
            description="the JSON Schema (2020-12) of the arguments, an object",
            examples=[
                {
                    "type": "object",
                    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                    "required": ["city"],
                }
            ],
        ),
        AfterValidator(schema_of_objects),
    ] = {"type": "object", "properties": {}}
    body: Annotated[
        tuple[Annotated[str, Field(pattern=_ARGUMENT)], ...] | None,
        Field(
            max_length=64,
            description="the arguments that are members of a JSON body; without it those that no placeholder takes, "
            "with POST, PUT and PATCH. What is in neither goes into the query",
        ),
        AfterValidator(lambda names: names and unique(names)),
    ] = None

    @model_validator(mode="after")
    def _names_what_there_is(self) -> "HttpToolPut":
        template, known = UrlTemplate(self.url), self.parameters.get("properties", {})
        for name in sorted(template.names | set(self.body or ())):
            if name not in known:
                raise refused("argument_unknown", f"`parameters` has no property {name!r}")
        for name in sorted(template.names & set(self.body or ())):
            raise refused("argument_twice", f"{name!r} stands in the URL, and is not sent in the body too")
        for name in sorted(template.in_path):
            if name not in self.parameters.get("required", ()):
                raise refused("argument_optional", f"{name!r} stands in the path and must be required")
        for name in sorted(template.in_query & (known.keys() - template.names - self._in_body(known))):
            raise refused("argument_fixed", f"the query of `url` has {name!r} already")
        if self.body and self.method is Method.GET:
            raise refused("body_refused", "a GET has no body")
        return self

    def _in_body(self, known: Iterable[str]) -> set[str]:
        if self.body is None:
            return set(known) if self.method.has_body else set()
        return set(self.body)

    @property
    def content(self) -> ToolContent:
        """What it says of the tool."""
        target = HttpCall(method=self.method, url=self.url, parameters=self.parameters, body=self.body)
        return ToolContent(
            description=self.description,
            target=target,
            headers=self.headers,
            needs_approval=self.needs_approval,
            timeout_seconds=self.timeout_seconds,
        )


class McpToolPut(_ToolPut):
    """A server of the Model Context Protocol, over streamable HTTP; its tools are `<name>.<their name>`."""

    kind: Literal["mcp"] = Field(examples=["mcp"])
    description: Annotated[Text, Field(max_length=1024)] | None = None
    url: Annotated[
        str, Field(min_length=8, max_length=2048, examples=["https://mcp.example.com/mcp"]), AfterValidator(plain_url)
    ]
    allow: Annotated[
        tuple[Annotated[str, Field(pattern=_OF_A_SERVER, max_length=64, examples=["search_issues"])], ...],
        Field(min_length=1, max_length=64, description="the tools of the server that may be called, and no others"),
        AfterValidator(unique),
    ]

    @property
    def content(self) -> ToolContent:
        """What it says of the tool."""
        return ToolContent(
            description=self.description,
            target=McpServer(url=self.url, allow=self.allow),
            headers=self.headers,
            needs_approval=self.needs_approval,
            timeout_seconds=self.timeout_seconds,
        )


class _Kind(BaseModel):
    kind: Literal["http", "mcp"]


def _of_its_kind(value: Any) -> "HttpToolPut | McpToolPut":
    """A union's own refusals would have the kind in their pointers."""
    model = HttpToolPut if _Kind.model_validate(value).kind == "http" else McpToolPut
    return model.model_validate(value)


ToolPut = Annotated[
    HttpToolPut | McpToolPut,
    PlainValidator(
        _of_its_kind, json_schema_input_type=Annotated[HttpToolPut | McpToolPut, Field(discriminator="kind")]
    ),
    Body(
        examples=[
            {
                "kind": "http",
                "description": "The weather of a city.",
                "url": "https://weather.example.com/v1/{city}",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
            },
            {"kind": "mcp", "url": "https://mcp.example.com/mcp", "allow": ["search_issues"]},
        ]
    ),
]


class ToolEntryRead(ResponseModel):
    """A tool as a list has it."""

    name: str
    kind: ToolKind
    description: str | None
    needs_approval: bool
    created_at: UtcDatetime | None = Field(description="null of what is built in")
    updated_at: UtcDatetime | None = Field(description="null of what is built in")

    @classmethod
    def of(cls, tool: "Tool | BuiltIn") -> "ToolEntryRead":
        return cls(**_entry(tool))


class ToolRead(ToolEntryRead):
    """A tool; what its kind does not have is null."""

    timeout_seconds: float | None
    headers: dict[str, str] = Field(description="as they were written: secrets by their names")
    method: Method | None = None
    url: str | None = None
    parameters: dict[str, Any] | None = None
    body: list[str] | None = None
    allow: list[str] | None = None

    @classmethod
    def of(cls, tool: "Tool | BuiltIn") -> "ToolRead":
        if isinstance(tool, BuiltIn):
            return cls(**_entry(tool), timeout_seconds=None, headers={})
        content = tool.content
        common = {**_entry(tool), "timeout_seconds": content.timeout_seconds, "headers": dict(content.headers)}
        match content.target:
            case HttpCall(method=method, url=url, parameters=parameters, body=body):
                shown = None if body is None else list(body)
                return cls(**common, method=method, url=url, parameters=dict(parameters), body=shown)
            case McpServer(url=url, allow=allow):
                return cls(**common, url=url, allow=list(allow))


def _entry(tool: Tool | BuiltIn) -> dict[str, Any]:
    if isinstance(tool, BuiltIn):
        told = {"kind": ToolKind.BUILT_IN, "needs_approval": False, "created_at": None, "updated_at": None}
        return {"name": tool.name, "description": tool.description, **told}
    return {
        "name": tool.name,
        "kind": tool.content.kind,
        "description": tool.content.description,
        "needs_approval": tool.content.needs_approval,
        "created_at": tool.created_at,
        "updated_at": tool.updated_at,
    }
