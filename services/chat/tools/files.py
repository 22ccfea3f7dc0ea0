"""The search of files that a caller of responses brings: in vector stores that they name, with their own rights."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final

from services.chat.given import FileSearch
from services.chat.ports import Knowledge
from services.chat.tools.domain import FilePart, Tool, ToolResult
from services.chat.tools.names import wire_names
from shared.ending import within
from shared.errors import FieldProblem, Relayed, UpstreamTimeout

FILE_SEARCH: Final = "vectors.file_search"
WIRE_NAME: Final = wire_names([FILE_SEARCH])[FILE_SEARCH]
"""What the model knows it by, where no tool of the caller's has that name."""
TOOL: Final = Tool(
    FILE_SEARCH,
    "Search the files that belong to this question. What is found is numbered: cite it as [number].",
    {
        "type": "object",
        "properties": {
            "query": {"type": "string", "minLength": 1, "maxLength": 2000, "description": "what to look for, in words"}
        },
        "required": ["query"],
        "additionalProperties": False,
    },
)
_SERVERS_FAULT: Final = 500


async def search_files(
    knowledge: Knowledge, files: FileSearch, query: str, *, seconds: float, token: str
) -> ToolResult:
    """The best parts of all stores together.

    One store alone is searched by words too; what several have found is compared, which only meaning allows. Raises
    Relayed, blaming the tools of the request, where what the caller asks for is refused: an unknown store, a filter
    that is none. Raises what Knowledge.search_files raises beside, and UpstreamTimeout.
    """
    by_words = files.by_words and len(files.stores) == 1
    searches = [knowledge.search_files(store, query, files, by_words=by_words, token=token) for store in files.stores]
    try:
        found = await within(seconds, _all_of(searches))
    except TimeoutError as error:
        raise UpstreamTimeout("vectors") from error
    parts = list[FilePart]()
    for outcome in found:
        if isinstance(outcome, Relayed) and outcome.status < _SERVERS_FAULT:
            outcome.errors = [FieldProblem(pointer="/tools", code="search_refused", detail=outcome.detail)]
        if isinstance(outcome, BaseException):
            raise outcome
        parts += outcome
    best = _best_first(parts)[: files.most]
    if not best:
        return ToolResult("Nothing was found.")
    return ToolResult("", passages=[part.passage for part in best], query=query, parts=best)


async def _all_of(searches: list[Coroutine[Any, Any, list[FilePart]]]) -> list[list[FilePart] | BaseException]:
    return await asyncio.gather(*searches, return_exceptions=True)  # so that none is left running behind an error


def _best_first(parts: Iterable[FilePart]) -> list[FilePart]:
    """By falling score; equals stay in the order of the stores."""
    return sorted(parts, key=lambda part: -part.score)
