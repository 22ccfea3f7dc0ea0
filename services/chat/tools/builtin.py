"""The tools that chat has itself, used with the caller's own rights."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from services.chat.domain import Agent, Passage
from services.chat.given import FileSearch
from services.chat.ports import Knowledge, TaskQueue
from services.chat.retrieval import Retriever
from services.chat.tools.domain import Tool, ToolResult
from services.chat.tools.files import search_files

SEARCH: Final = "vectors.search"
SUBMIT: Final = "tasks.submit"
DELEGATE: Final = "agents.delegate"
NAMES: Final = frozenset({SEARCH, SUBMIT, DELEGATE})
_MOST_PASSAGES = 20
_LONGEST_TASK = 8_000


class BuiltIn:
    """Searches the agent's collections and hands work over."""

    def __init__(self, knowledge: Knowledge, tasks: TaskQueue, *, passages: int, search_seconds: float) -> None:
        self._knowledge, self._tasks = knowledge, tasks
        self._passages, self._search_seconds = passages, search_seconds

    def tools(self, agent: Agent) -> list[Tool]:
        """Those of them that the agent names and can use, but `agents.delegate`, for which others are asked."""
        known = {SEARCH: _search_tool(agent, self._passages), SUBMIT: _submit_tool()}
        return [tool for name, tool in known.items() if name in agent.tools and tool]

    async def search(self, agent: Agent, arguments: Mapping[str, Any], *, token: str) -> ToolResult:
        """Passages, best first. Raises what Knowledge.search raises but CollectionUnusable."""
        collection: str | None = arguments.get("collection")
        searched = replace(agent, knowledge=(collection,)) if collection else agent
        retriever = Retriever(self._knowledge, arguments.get("k", self._passages), self._search_seconds)
        evidence = await retriever.retrieve(searched, arguments["query"], token=token)
        passages: list[Passage] = list(evidence.passages)[: arguments.get("k", self._passages)]
        if passages:
            return ToolResult("", passages=passages, query=arguments["query"])
        if evidence.warnings:
            return ToolResult.failed(" ".join(f"{one.collection}: {one.detail}" for one in evidence.warnings))
        return ToolResult("Nothing was found.")

    async def search_files(self, files: FileSearch, arguments: Mapping[str, Any], *, token: str) -> ToolResult:
        """As `search_files`."""
        return await search_files(self._knowledge, files, arguments["query"], seconds=self._search_seconds, token=token)

    async def submit(self, arguments: Mapping[str, Any], *, key: str, token: str) -> ToolResult:
        """The task that was begun, once for `key`. Raises what TaskQueue.submit raises."""
        task = await self._tasks.submit(arguments["kind"], arguments.get("input", {}), key=key, token=token)
        return ToolResult(orjson.dumps({"task_id": task.id, "status": task.status}).decode())


def delegate_tool(names: Iterable[str]) -> Tool:
    """Handing a task to one of the agents of these names; the call is made by whoever runs turns."""
    properties: dict[str, Any] = {
        "agent": {"type": "string", "enum": list(names), "description": "who is to do it"},
        "task": {"type": "string", "minLength": 1, "maxLength": _LONGEST_TASK, "description": "all it has to know"},
    }
    description = "Hand a task to another agent, and get its answer. It knows nothing of this conversation."
    return Tool(DELEGATE, description, _object(properties, "agent", "task"))


def _search_tool(agent: Agent, passages: int) -> Tool | None:
    if not agent.knowledge:
        return None
    properties: dict[str, Any] = {
        "query": {"type": "string", "minLength": 1, "maxLength": 2000, "description": "what to look for, in words"},
        "collection": {
            "type": "string",
            "enum": list(agent.knowledge),
            "description": "search only this one; without it all of them",
        },
        "k": {"type": "integer", "minimum": 1, "maximum": _MOST_PASSAGES, "default": passages},
    }
    description = "Search the knowledge collections. What is found is numbered: cite it as [number]."
    return Tool(SEARCH, description, _object(properties, "query"))


def _submit_tool() -> Tool:
    properties: dict[str, Any] = {
        "kind": {"type": "string", "minLength": 1, "maxLength": 64, "description": "the kind of task"},
        "input": {"type": "object", "description": "what that kind asks for"},
    }
    return Tool(SUBMIT, "Hand over work to be done later. Answers the id of the task.", _object(properties, "kind"))


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
