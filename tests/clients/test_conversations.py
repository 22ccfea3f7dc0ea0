"""What OpenAI's own client makes of conversations through the gateway."""

import httpx
import openai
import pytest

from tests.fixtures.identity import User


async def test_a_conversation_is_begun_read_changed_and_deleted(client: openai.AsyncOpenAI) -> None:
    begun = await client.conversations.create(
        items=[{"type": "message", "role": "user", "content": "Hello!"}], metadata={"topic": "demo"}
    )

    read = await client.conversations.retrieve(begun.id)
    changed = await client.conversations.update(begun.id, metadata={"topic": "another"})
    gone = await client.conversations.delete(begun.id)

    assert (begun.object, begun.metadata) == ("conversation", {"topic": "demo"})
    assert read == begun
    assert changed.metadata == {"topic": "another"}
    assert (gone.id, gone.deleted, gone.object) == (begun.id, True, "conversation.deleted")
    with pytest.raises(openai.NotFoundError):
        await client.conversations.retrieve(begun.id)


async def test_items_are_added_listed_over_pages_read_and_deleted(
    client: openai.AsyncOpenAI, gateway: httpx.AsyncClient, owner: User
) -> None:
    begun = await client.conversations.create()
    added = await client.conversations.items.create(
        begun.id,
        items=[
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "Rain."},
            {"role": "assistant", "content": "It rains."},
        ],
    )

    listed = [one async for one in client.conversations.items.list(begun.id, limit=3, order="asc")]
    said, called, *_ = [str(one.id) for one in added.data]
    call = await client.conversations.items.retrieve(called, conversation_id=begun.id)
    left = await client.conversations.items.delete(said, conversation_id=begun.id)

    assert [one.type for one in listed] == ["message", "function_call", "function_call_output", "message"]
    assert [one.id for one in listed] == [one.id for one in added.data]
    assert call == listed[1]
    assert left.id == begun.id
    path = f"/api/v1/chat/conversations/{begun.id.removeprefix('conv_')}/messages"
    messages = (await gateway.get(path, headers=owner.headers)).json()["items"]
    assert [one["content"] for one in messages] == ["", "Rain.", "It rains."]


async def test_what_it_has_and_is_not_kept_here_is_refused_by_name(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.conversations.create(items=[{"type": "reasoning", "id": "rs_1", "summary": []}])

    assert refused.value.param == "items[0].type"
