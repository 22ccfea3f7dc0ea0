"""The annotated types that chat's routes ask for."""

from typing import Annotated

from fastapi import Depends

from services.chat.conversations.service import ConversationService
from services.chat.runs.control import RunControl
from services.chat.runs.service import RunService
from services.chat.runs.tickets import Tickets, by_ticket
from shared.door import requires
from shared.identity import Caller
from shared.web import from_state

Reader = Annotated[Caller, requires("chat:read")]
Writer = Annotated[Caller, requires("chat:write")]
Speaker = Annotated[Caller, requires("chat:write", body="conversation_id", limit="model")]
"""Whoever may write into the conversation that the body names; a new one needs the scope for all."""

Beginner = Annotated[Caller, requires("chat:write", body="conversation_id")]
"""Whoever may begin conversations: where the body names none, it takes the scope for all."""
Asker = Annotated[Caller, requires("chat:write", limit="model")]
"""Whoever may have an answer made in the conversation that the path names."""

Follower = Annotated[Caller, requires("chat:read", otherwise=by_ticket)]
"""Whoever may read, or shows a ticket to the run."""

Conversations = Annotated[ConversationService, Depends(from_state("conversations"))]
Control = Annotated[RunControl, Depends(from_state("control"))]
TicketOffice = Annotated[Tickets, Depends(from_state("tickets"))]
Runs = Annotated[RunService, Depends(from_state("runs"))]
