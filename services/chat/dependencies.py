"""The annotated types that chat's routes ask for."""

from typing import Annotated, Literal

from fastapi import Depends, Query, Request

from services.chat.completions.service import CompletionService
from services.chat.conversations.service import ConversationService
from services.chat.dialogue.beginning import Leavers
from services.chat.items.ids import ItemId
from services.chat.items.service import ItemService, Span
from services.chat.responses.service import ResponseService
from services.chat.runs.approvals import ApprovalService
from services.chat.runs.control import RunControl
from services.chat.runs.service import RunService
from services.chat.runs.tickets import Tickets, by_ticket
from services.chat.usage.service import UsageService
from shared.door import caller_of, held, requires
from shared.identity import Caller
from shared.limits import LimitName

Reader = Annotated[Caller, requires("chat:read")]
Writer = Annotated[Caller, requires("chat:write")]


def _limit_of_list(request: Request) -> LimitName | None:
    return "bulk" if "q" in request.query_params else None


Lister = Annotated[Caller, requires("chat:read", limit=_limit_of_list)]
"""Whoever may read a list; looking for words counts among the heavy operations."""

Speaker = Annotated[Caller, requires("chat:write", body="conversation_id", limit="model")]
"""Whoever may write into the conversation that the body names; a new one needs the scope for all."""

Beginner = Annotated[Caller, requires("chat:write", body="conversation_id", limit="bulk")]
"""Whoever may begin conversations of many messages: where the body names none, it takes the scope for all."""
Asker = Annotated[Caller, requires("chat:write", limit="model")]
"""Whoever may have an answer made in the conversation that the path names."""


async def _conversation_of_run(request: Request) -> str | None:
    """The conversation that the caller's run in the path belongs to."""
    control: RunControl = request.state.control
    return await control.find_conversation(caller_of(request), request.path_params["id"])


RunReader = Annotated[Caller, requires("chat:read", about=_conversation_of_run)]
RunWriter = Annotated[Caller, requires("chat:write", about=_conversation_of_run)]
"""Whoever may read, or write into, the conversation of the run that the path names."""
Follower = Annotated[Caller, requires("chat:read", about=_conversation_of_run, otherwise=by_ticket)]
"""Whoever may read it, or shows a ticket to the run."""

Completer = Annotated[Caller, requires("chat:write", limit="model", is_narrowed=False)]
"""Whoever may have a question answered that is of no conversation: a scope narrowed to one opens nothing here."""
ModelReader = Annotated[Caller, requires("chat:read", is_narrowed=False)]
ResponseReader = ModelReader
ResponseWriter = Annotated[Caller, requires("chat:write", is_narrowed=False)]
"""Whoever may read, cancel or delete a response: a scope narrowed to one conversation opens none."""


async def _conversation_of_path(request: Request) -> str:
    """The conversation that the path names as OpenAI's clients know it."""
    name: str = request.path_params["conversation_id"]
    return name.partition("_")[2].lower()


ItemReader = Annotated[Caller, requires("chat:read", about=_conversation_of_path)]
ItemWriter = Annotated[Caller, requires("chat:write", about=_conversation_of_path)]
ItemAdder = Annotated[Caller, requires("chat:write", about=_conversation_of_path, limit="bulk")]
Starter = Annotated[Caller, requires("chat:write", is_narrowed=False, limit="bulk")]
"""Whoever may begin a conversation of many items."""


async def _items_asked(
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Annotated[
        Literal["asc", "desc"], Query(description="by their places: the newest first, or the oldest")
    ] = "desc",
    after: Annotated[ItemId | None, Query(description="the last id of the page before")] = None,
) -> Span:
    return Span(limit, newest_first=order == "desc", after=after)


ItemsAsked = Annotated[Span, Depends(_items_asked)]


async def _images_shown(
    include: Annotated[
        list[Literal["message.input_image.image_url"]],
        Query(alias="include[]", max_length=8, description="also all of each image, and not only what it is"),
    ] = [],  # noqa: B006 - as FastAPI reads it
) -> bool:
    return bool(include)


ImagesShown = Annotated[bool, Depends(_images_shown)]

Conversations = Annotated[ConversationService, held("conversations")]
Items = Annotated[ItemService, held("items")]
Control = Annotated[RunControl, held("control")]
TicketOffice = Annotated[Tickets, held("tickets")]
Approvals = Annotated[ApprovalService, held("approvals")]
Usages = Annotated[UsageService, held("usages")]
Leaving = Annotated[Leavers, held("leavers")]
Completions = Annotated[CompletionService, held("completions")]
Responses = Annotated[ResponseService, held("responses")]
Runs = Annotated[RunService, held("runs")]
