"""The annotated types that chat's routes ask for."""

from typing import Annotated

from services.chat.conversations.service import ConversationService
from services.chat.runs.control import RunControl
from services.chat.runs.service import RunService
from shared.door import held, requires
from shared.identity import Caller

Reader = Annotated[Caller, requires("chat:read")]
Writer = Annotated[Caller, requires("chat:write")]
Speaker = Annotated[Caller, requires("chat:write", body="conversation_id", limit="model")]
"""Whoever may write into the conversation that the body names; a new one needs the scope for all."""

Conversations = Annotated[ConversationService, held("conversations")]
Control = Annotated[RunControl, held("control")]
Runs = Annotated[RunService, held("runs")]
