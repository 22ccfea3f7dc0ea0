"""A run as it lies while it waits, and how it is picked up again.

What the model was told is kept, and what its tools said; not the token, and not the tools: whoever decides last goes on
with rights of their own, and with the agent's tools as they then are.
"""

from dataclasses import replace

import orjson

from services.chat.domain import Agent, Decision, Owner, Turn
from services.chat.given import given_from, given_members
from services.chat.images.domain import Eyes, Image
from services.chat.runs.loop import Loop
from services.chat.runs.means import Means
from services.chat.runs.pauses import Resumed
from services.chat.runs.state import LoopState, state_bytes, state_from
from services.chat.runs.telling import Telling
from services.chat.storage import message_from, message_members
from services.chat.tokens import estimate_tokens
from services.chat.usage.meter import Measured, current_meter
from shared.identity import Caller


def laid_down(turn: Turn, state: LoopState) -> bytes:
    """All of a run that it takes to go on."""
    return orjson.dumps(
        {
            "conversation_id": turn.conversation_id,
            "agent_id": turn.agent.id,
            "model": turn.model,
            "key_id": turn.key_id,
            "measured": meter.all if (meter := current_meter()) else [],
            "response_schema": turn.response_schema,
            "given": given_members(turn.given),
            "question": message_members(replace(turn.question, images=())),
            "state": orjson.Fragment(state_bytes(state)),
        }
    )


def turn_of(caller: Caller, resumed: Resumed) -> Turn:
    """The turn of a run that lay, with the rights of `caller`. Of its agent only the id is known."""
    members = orjson.loads(resumed.loop)
    question = message_from(orjson.dumps(members["question"]))
    return Turn(
        run_id=members["question"]["run_id"],
        conversation_id=members["conversation_id"],
        is_new_conversation=False,
        owner=Owner.of(caller),
        agent=Agent(members["agent_id"], "", None, ()),
        question=question,
        token=caller.token,
        model=members["model"],
        key_id=members["key_id"],
        response_schema=members["response_schema"],
        given=given_from(members.get("given")),
        since=resumed.last_event,
    )


def measured_of(resumed: Resumed) -> list[Measured]:
    """What the run had asked of models before it lay down."""
    return [Measured(**one) for one in orjson.loads(resumed.loop)["measured"]]


def prompt_tokens_of(loop: bytes) -> int:
    """About how long the prompt is that it goes on with."""
    messages = orjson.loads(loop)["state"]["messages"]
    images = [Image(**image) for message in messages for image in message.get("images", ())]
    return Eyes().tokens(images) + sum(estimate_tokens(message["content"]) for message in messages)


def decided(resumed: Resumed) -> dict[str, Decision]:
    """What was decided on the calls that it waited for last."""
    step = orjson.loads(resumed.loop)["state"]["step"]
    return {call["id"]: resumed.decisions[call["id"]] for call in step if call["id"] in resumed.decisions}


async def pick_up(turn: Turn, means: Means, telling: Telling, resumed: Resumed) -> Loop:
    """The loop where it stopped. Raises what Tools.open raises."""
    toolbox = await means.tools.open(turn.agent, token=turn.token, given=turn.given)
    state = state_from(orjson.dumps(orjson.loads(resumed.loop)["state"]))
    return Loop(turn, means, toolbox, state, telling)
