"""An agent's collection is searched by words too, where it keeps any."""

import httpx
import pytest

from tests.fixtures.identity import User
from tests.services.chat.client import OpenChat
from tests.services.chat.servers import Neighbours


async def modes_asked(open_chat: OpenChat, neighbours: Neighbours, agent_id: str, headers: dict[str, str]) -> list[str]:
    body = {"agent_id": agent_id, "content": "How long is the warranty?"}
    async with open_chat() as client:
        answer: httpx.Response = await client.post("/api/v1/chat/message", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert [one["record_id"] for one in answer.json()["message"]["citations"]] == ["r1", "r2"]
    return [search.get("mode", "dense") for search in neighbours.searches]


async def test_a_collection_is_searched_by_both(
    open_chat: OpenChat, neighbours: Neighbours, agent_id: str, user: User
) -> None:
    assert await modes_asked(open_chat, neighbours, agent_id, user.headers) == ["hybrid"]


@pytest.mark.parametrize("refusal", [(422, "vectors.unsupported_capability"), (409, "vectors.words_missing")])
async def test_a_collection_without_words_is_searched_by_meaning(
    open_chat: OpenChat, neighbours: Neighbours, agent_id: str, user: User, refusal: tuple[int, str]
) -> None:
    neighbours.refuses_hybrid = refusal

    assert await modes_asked(open_chat, neighbours, agent_id, user.headers) == ["hybrid", "dense"]
