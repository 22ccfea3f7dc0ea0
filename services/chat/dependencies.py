"""The annotated types that chat's routes ask for."""

from typing import Annotated

from fastapi import Depends

from services.chat.conversations.service import ConversationService
from services.chat.runs.approvals import ApprovalService
from services.chat.runs.control import RunControl
from services.chat.runs.service import RunService
from services.chat.usage.service import UsageService
from shared.door import requires
from shared.identity import Caller
from shared.web import from_state

Reader = Annotated[Caller, requires("chat:read")]
Writer = Annotated[Caller, requires("chat:write")]
Speaker = Annotated[Caller, requires("chat:write", body="conversation_id", limit="model")]
"""Whoever may write into the conversation that the body names; a new one needs the scope for all."""

Approvals = Annotated[ApprovalService, Depends(from_state("approvals"))]
Conversations = Annotated[ConversationService, Depends(from_state("conversations"))]
Control = Annotated[RunControl, Depends(from_state("control"))]
Usages = Annotated[UsageService, Depends(from_state("usages"))]
Runs = Annotated[RunService, Depends(from_state("runs"))]
