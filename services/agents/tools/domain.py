"""What a tool is; knows neither the store nor HTTP."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shared.words import Word

BUILT_IN: Final = frozenset({"vectors.search", "tasks.submit", "agents.delegate"})
"""Those that chat executes itself, with the caller's rights; nobody defines another under such a name."""
RESERVED: Final = frozenset(name.partition(".")[0] for name in BUILT_IN)
"""Nobody defines a tool of such a name: what an agent names of a server `tasks` would be taken for what is built in."""
BUILT_IN_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "vectors.search": "Searches a collection of the tenant.",
    "tasks.submit": "Submits a task to be done in the background.",
    "agents.delegate": "Hands work to an agent that this one delegates to.",
}
MOST_TOOLS: Final = 200
"""That one tenant defines."""
MOST_CONTENT: Final = 32_768
"""Characters of what a tool answered that a model is given."""
_SECRET: Final = re.compile(r"\$\{secret:([A-Za-z_][A-Za-z0-9_]{0,63})\}")


class ToolKind(Word):
    """Who executes it, and how."""

    BUILT_IN = "built_in"
    HTTP = "http"
    MCP = "mcp"


class Method(Word):
    """Of HTTP."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"

    @property
    def has_body(self) -> bool:
        """Whether what no placeholder takes goes into a body, where nothing else is said."""
        return self in (Method.POST, Method.PUT, Method.PATCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall:
    """A request that arguments are put into."""

    method: Method
    url: str
    """With `{placeholders}` in its path and query."""
    parameters: Mapping[str, Any]
    """The JSON Schema of the arguments."""
    body: tuple[str, ...] | None
    """The arguments that go into a JSON body; None is all the rest where the method has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer:
    """A server that has tools of its own, of which some are allowed."""

    url: str
    allow: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContent:
    """What a caller says of a tool."""

    description: str | None
    target: HttpCall | McpServer
    headers: Mapping[str, str]
    """Their values may hold `${secret:NAME}`."""
    needs_approval: bool
    timeout_seconds: float

    @property
    def kind(self) -> ToolKind:
        return ToolKind.HTTP if isinstance(self.target, HttpCall) else ToolKind.MCP

    @property
    def secrets(self) -> set[str]:
        """The names of the secrets that it needs."""
        return {name for _, name in self.named_secrets()}

    def named_secrets(self) -> Iterator[tuple[str, str]]:
        """Each header that names a secret, with the secret's name."""
        for header, text in self.headers.items():
            yield from ((header, name) for name in secrets_in(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that a tenant defined."""

    name: str
    content: ToolContent
    version: str
    """Another after every change."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Put:
    """A tool as it is now; whether it was made just now."""

    tool: Tool
    is_new: bool


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A tool that every tenant has."""

    name: str

    @property
    def description(self) -> str:
        return BUILT_IN_DESCRIPTIONS[self.name]


def secrets_in(text: str) -> list[str]:
    """The names of the secrets that a header's text stands for."""
    return _SECRET.findall(text)


def with_secrets(text: str, values: Mapping[str, str]) -> str:
    """The text with the values in it. Raises KeyError for a secret that is not among them."""
    return _SECRET.sub(lambda found: values[found[1]], text)


def without_secrets(text: str) -> str:
    """The text with a NUL for each secret."""
    return _SECRET.sub("\0", text)


def definition_of(name: str) -> str:
    """The definition that has what an agent names: of `github.search_issues` it is `github`."""
    return name if name in BUILT_IN else name.partition(".")[0]


def has(tool: Tool, name: str) -> bool:
    """Whether `name` is the tool, or one of the tools of its server."""
    return name in names_of(tool)


def names_of(tool: Tool) -> list[str]:
    """All that an agent may name of it."""
    inner = tool.content.target.allow if isinstance(tool.content.target, McpServer) else ()
    return [tool.name, *(f"{tool.name}.{name}" for name in inner)]
