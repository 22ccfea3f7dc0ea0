"""`agent.run`: one turn of an agent, in the background."""

import asyncio
from typing import Annotated, Any

from pydantic import Field

from services.tasks.kinds.kind import Context, Kind
from shared.errors import ServiceError
from shared.schemas import Id, LargeModel, Text

_STILL_RUNNING = "common.idempotency_key_in_use"
_ASK_AGAIN_SECONDS = 2.0


class AgentRunInput(LargeModel):
    """What to say to which agent."""

    agent_id: Id
    content: Annotated[
        Text, Field(min_length=1, max_length=32_768, pattern=r"\S", examples=["Summarise our refund policy."])
    ]
    conversation_id: Id | None = Field(default=None, description="a new conversation when absent")


async def _run(context: Context, given: AgentRunInput) -> dict[str, Any]:
    """The chat answer.

    The task's id is the turn's idempotency key: an attempt that follows a lost answer is given that answer, and one
    that follows a turn which still runs waits for it, instead of running the turn twice.
    """
    body = given.model_dump(exclude_none=True)
    while True:
        try:
            answer = await context.call(
                "chat",
                "POST",
                "/api/v1/chat/message",
                json=body,
                headers={"Idempotency-Key": context.task_id},
                timeout_seconds=context.remaining_seconds,
            )
        except ServiceError as error:
            if error.code != _STILL_RUNNING:
                raise
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
        else:
            result: dict[str, Any] = answer.json()
            return result


AGENT_RUN = Kind(
    name="agent.run",
    description="Sends one message to an agent; the result is the answer of `POST /chat/message`, or what its run "
    "waits for where calls need an approval first.",
    input_model=AgentRunInput,
    run=_run,
    scopes=("chat:write",),
    timeout_seconds=300,
    beyond_share=True,
)
