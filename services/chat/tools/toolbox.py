"""The tools of one agent in one run: what the model is told of them, what a call may say, and the call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from services.chat.domain import Agent
from services.chat.generation import ToolCall, ToolSpec
from services.chat.given import Given
from services.chat.ports import AgentDirectory, AgentTools
from services.chat.tools.builtin import DELEGATE, NAMES, SEARCH, SUBMIT, BuiltIn, delegate_tool
from services.chat.tools.domain import Tool, ToolResult
from services.chat.tools.files import FILE_SEARCH, TOOL
from services.chat.tools.names import wire_names
from shared.errors import Relayed, Unavailable, UpstreamFailed, UpstreamTimeout
from shared.json_schema import JsonSchema, SchemaRefused

_NOBODY: Final[Mapping[str, str]] = {}
_ARGUMENTS_CHARS = 32_768
_MOST_PROBLEMS_TOLD = 3
_SERVERS_FAULT: Final = 500


@dataclass(frozen=True, slots=True)
class Checked:
    """A call that was held against its tool. With a `problem`, which is for the model, it is not made."""

    name: str
    arguments: Mapping[str, Any] | None
    tool: Tool | None
    problem: str | None = None


class Whose(Protocol):
    """For whom a tool is called."""

    @property
    def agent(self) -> Agent: ...
    @property
    def token(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def given(self) -> Given | None: ...


class Toolbox:
    """The tools of an agent, under names of the wire."""

    def __init__(
        self,
        tools: Sequence[Tool],
        agent_tools: AgentTools,
        built_in: BuiltIn,
        delegates: Mapping[str, str] = _NOBODY,
        callers: Sequence[ToolSpec] = (),
    ) -> None:
        """`delegates` are the ids of those that may be handed a task, by their names; `callers` are tools that whoever
        asks has themselves, and whose names are as they say."""
        self.delegates = delegates
        self._callers = frozenset(tool.name for tool in callers)
        self._agent_tools, self._built_in = agent_tools, built_in
        wire = wire_names((tool.name for tool in tools), self._callers)
        self._tools = {tool.name: tool for tool in tools}
        self._names = {wire[tool.name]: tool.name for tool in tools}
        own = [ToolSpec(wire[tool.name], tool.description, tool.parameters) for tool in tools]
        self.specs = [*own, *callers]

    def name_of(self, wire_name: str) -> str:
        """Our name for what the model calls so, or its own for what there is not."""
        return self._names.get(wire_name, wire_name)

    def of_caller(self, calls: Sequence[ToolCall]) -> list[ToolCall]:
        """Those that whoever asks is to make."""
        return [call for call in calls if call.name in self._callers]

    def check(self, name: str, arguments: str) -> Checked:
        """The call as it may be made, or why not. Never raises: a model errs, and is told so."""
        tool = self._tools.get(name)
        if tool is None:
            return Checked(name, None, None, f"There is no tool {name[:64]!r}.")
        parsed = _parsed(arguments)
        if parsed is None:
            return Checked(name, None, tool, "The arguments are no JSON object.")
        try:
            problems = JsonSchema(tool.parameters).problems(parsed)
        except SchemaRefused:
            return Checked(name, parsed, tool, "The tool cannot be used: the schema of its arguments is not valid.")
        if problems:
            told = "; ".join(f"{one.pointer or '/'}: {one.detail}" for one in problems[:_MOST_PROBLEMS_TOLD])
            return Checked(name, parsed, tool, f"The arguments are not what the tool takes: {told}")
        return Checked(name, parsed, tool)

    async def call(self, checked: Checked, call_id: str, whose: Whose) -> ToolResult:
        """What came of it. A tool that is away or refuses is a result too, which the model hears of.

        Raises Unauthenticated when the caller's token has ended, and Relayed where the search that they brought is
        refused: they asked for it, and not the model.
        """
        arguments: Mapping[str, Any] = checked.arguments or {}
        try:
            match checked.name:
                case name if name == FILE_SEARCH and whose.given and whose.given.files:
                    return await self._built_in.search_files(whose.given.files, arguments, token=whose.token)
                case name if name == SEARCH:
                    return await self._built_in.search(whose.agent, arguments, token=whose.token)
                case name if name == SUBMIT:
                    key = f"{whose.run_id}-{call_id}"
                    return await self._built_in.submit(arguments, key=key, token=whose.token)
                case name:
                    return await self._call_of_tenant(name, checked.tool, arguments, whose)
        except (Relayed, Unavailable, UpstreamFailed, UpstreamTimeout) as error:
            if checked.name == FILE_SEARCH and isinstance(error, Relayed) and error.status < _SERVERS_FAULT:
                raise
            return ToolResult.failed(error.detail)

    async def _call_of_tenant(
        self, name: str, tool: Tool | None, arguments: Mapping[str, Any], whose: Whose
    ) -> ToolResult:
        seconds = tool.timeout_seconds if tool else 0.0
        return await self._agent_tools.call(whose.agent.id, name, arguments, timeout_seconds=seconds, token=whose.token)


class Tools:
    """Opens the toolbox of an agent."""

    def __init__(self, agents: AgentDirectory, agent_tools: AgentTools, built_in: BuiltIn, depth: int) -> None:
        """`depth` is how many agents may stand below one another: a run's own delegates nothing with 0."""
        self._agents, self._agent_tools, self._built_in, self._depth = agents, agent_tools, built_in, depth
        self._none = Toolbox([], agent_tools, built_in)

    async def open(self, agent: Agent, *, token: str, depth: int = 0, given: Given | None = None) -> Toolbox:
        """Its tools; asks nobody where it names none of its tenant's. Raises what AgentTools.list_of raises.

        At a `depth`, which is below another agent, those are left out that need an approval, and at the last one
        `agents.delegate`. The caller's own are among them, with the search that they brought, and alone where one of
        those is to be called.
        """
        callers, searches = (given.offered, [TOOL] if given.searched else []) if given else ((), [])
        if not agent.tools and not callers and not searches:
            return self._none
        if not agent.tools or (given and given.demands_call):
            return Toolbox(searches, self._agent_tools, self._built_in, callers=callers)
        tools = [*searches, *self._built_in.tools(agent)]
        delegates = {}
        if DELEGATE in agent.tools and depth < self._depth:
            delegates = await self._agents.delegates_of(agent.id, token=token)
        if delegates:
            tools.append(delegate_tool(delegates))
        if not NAMES.issuperset(agent.tools):
            own = await self._agent_tools.list_of(agent.id, token=token)
            tools += [tool for tool in own if tool.name not in NAMES and not (depth and tool.needs_approval)]
        return Toolbox(tools, self._agent_tools, self._built_in, delegates, callers)


def _parsed(arguments: str) -> dict[str, Any] | None:
    """The arguments, or None for what is no JSON object of a fit size; a call without any may say nothing at all."""
    if len(arguments) > _ARGUMENTS_CHARS:
        return None
    try:
        parsed = orjson.loads(arguments) if arguments.strip() else {}
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
