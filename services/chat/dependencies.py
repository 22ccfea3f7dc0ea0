"""The annotated types that chat's routes ask for."""

from typing import Annotated

from fastapi import Depends, Request

from services.chat.conversations.service import ConversationService
from services.chat.domain import Owner
from services.chat.runs.service import RunService
from shared.door import requires
from shared.identity import Caller

Reader = Annotated[Caller, requires("chat:read")]
Writer = Annotated[Caller, requires("chat:write")]
Speaker = Annotated[Caller, requires("chat:write", body="conversation_id", limit="model")]
"""Whoever may write into the conversation that the body names; a new one needs the scope for all."""


def owner_of(caller: Caller) -> Owner:
    """Conversations belong to the user within the tenant."""
    return Owner(caller.tenant_id, caller.subject)


async def _conversations(request: Request) -> ConversationService:
    service: ConversationService = request.state.conversations
    return service


async def _runs(request: Request) -> RunService:
    service: RunService = request.state.runs
    return service


Conversations = Annotated[ConversationService, Depends(_conversations)]
Runs = Annotated[RunService, Depends(_runs)]
