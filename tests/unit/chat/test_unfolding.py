"""A response that is made of the events of its run."""

import orjson

from services.chat.dialogue.telling import Told
from services.chat.domain import Message, Reply
from services.chat.generation import ToolCall
from services.chat.responses.unfolding import Unfolding
from services.chat.runs.events import STARTED, completed
from services.chat.times import now
from shared.schemas import new_id

RUN = new_id()


def unfolded(finish_reason: str, *calls: ToolCall) -> Unfolding:
    message = Message(new_id(), RUN, "assistant", "", [], now())
    reply = Reply(RUN, new_id(), message, "m", finish_reason, None, [], calls)
    unfolding = Unfolding.plain(RUN, "m")
    unfolding.take(Told(STARTED, orjson.dumps({"agent_id": None})))
    for event in completed(2, reply):
        unfolding.take(Told(event.type, event.data))
    return unfolding


def test_of_calls_that_were_cut_the_last_is_not_whole() -> None:
    calls = [ToolCall("c0", "look", "{}"), ToolCall("c1", "look", '{"ci')]

    cut, whole = unfolded("length", *calls), unfolded("tool_calls", *calls)

    assert [one["status"] for one in cut.output] == ["completed", "incomplete"]
    assert (cut.response["incomplete_details"], cut.response["completed_at"]) == ({"reason": "max_output_tokens"}, None)
    assert [one["status"] for one in whole.output] == ["completed", "completed"]
    assert whole.response["completed_at"] is not None


def test_ids_of_items_are_the_runs_but_for_their_end() -> None:
    ids = [one["id"] for one in unfolded("tool_calls", *[ToolCall("c", "look", "{}")] * 300).output]

    assert len(set(ids)) == 300
    assert {one[3:-4] for one in ids} == {RUN[:-4]}
