"""An agent that asks for it is told in short what was said in the turns that its prompt has no room for."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.storage import Keys
from shared.redis import open_redis
from tests.fixtures.identity import User
from tests.services.chat.client import OpenChat, ServerEvent, events_of
from tests.services.chat.scripts import says
from tests.services.chat.servers import ModelServer, Neighbours

MESSAGE, CONVERSATIONS, USAGE = "/api/v1/chat/message", "/api/v1/chat/conversations", "/api/v1/chat/usage"
ASKED = "Summarise the conversation"
TOLD = "What was said before, in short."
LONG = "words " * 60


class Talk:
    """A conversation with an agent whose prompt holds two or three turns."""

    def __init__(self, chat: httpx.AsyncClient, model: ModelServer, agent_id: str) -> None:
        self.chat, self.model, self.id = chat, model, ""
        self._body: dict[str, Any] = {"agent_id": agent_id}

    async def say(self, content: str) -> list[ServerEvent]:
        body = self._body | {"content": f"{content} {LONG}", "stream": True}
        body |= {"conversation_id": self.id} if self.id else {}
        async with self.chat.stream("POST", MESSAGE, json=body) as response:
            assert response.status_code == 200, await response.aread()
            events = [event async for event in events_of(response)]
        self.id = events[0].data["conversation_id"]
        return events

    async def until_summarised(self) -> list[ServerEvent]:
        """The events of the first turn for which a summary was made."""
        for number in range(12):
            self.model.asked.clear()
            events = await self.say(f"Turn {number}.")
            if self.summaries:
                return events
        raise AssertionError("no summary is made")

    @property
    def summaries(self) -> list[str]:
        """What summaries were asked of since the model was last cleared."""
        return [content_of(one) for one in self.model.asked if system_of(one).startswith(ASKED)]


def system_of(asked: dict[str, Any]) -> str:
    return str(asked["messages"][0]["content"])


def content_of(asked: dict[str, Any]) -> str:
    return str(asked["messages"][-1]["content"])


def shortened(events: list[ServerEvent]) -> dict[str, Any] | None:
    return next((event.data for event in events if event.type == "history.shortened"), None)


@pytest.fixture
def talk(chat: httpx.AsyncClient, model: ModelServer, neighbours: Neighbours, agent_id: str) -> Talk:
    neighbours.agents[agent_id] |= {"history": "summarise", "knowledge": []}
    model.pieces = ["Rex is a dog."]
    return Talk(chat, model, agent_id)


async def test_what_no_longer_fits_is_told_in_short(talk: Talk, model: ModelServer) -> None:
    events = await talk.until_summarised()

    asked_for, answered = model.asked
    assert "User:\n> Turn 0." in content_of(asked_for)
    assert system_of(answered).startswith(f"Answer in one sentence.\n\n{TOLD}")
    assert system_of(answered).endswith("\n\n> Rex is a dog.")
    told = shortened(events)
    assert told
    assert told["is_summarised"]
    assert told["left_out"] > 0
    assert [event.type for event in events[:3]] == ["run.started", "retrieval.completed", "history.shortened"]
    assert events[-1].data["usage"]["total_tokens"] == 2 * 17


async def test_it_goes_on_from_the_last_one_and_not_with_every_turn(talk: Talk) -> None:
    await talk.until_summarised()
    made = []
    for number in range(8):
        talk.model.asked.clear()
        events = await talk.say(f"Later {number}.")
        made += talk.summaries
        assert TOLD in system_of(talk.model.asked[-1])
        assert (shortened(events) or {})["is_summarised"]

    assert 1 <= len(made) < 8
    assert all(one.startswith("Summary of what was said before:\n> Rex is a dog.") for one in made)
    assert "Turn 0." not in "".join(made)


async def test_its_tokens_are_counted(talk: Talk) -> None:
    await talk.until_summarised()

    (row,) = (await talk.chat.get(USAGE)).json()["rows"]

    assert row["prompt_tokens"] == 12 * (row["runs"] + 1)


@pytest.mark.parametrize("refusal", [(500, {}, {}), (400, {"error": {"code": "context_length_exceeded"}}, {})])
async def test_a_summary_that_fails_fails_no_turn(talk: Talk, refusal: tuple[int, Any, dict[str, str]]) -> None:
    await turns_before_a_summary(talk)

    events = await said_until_shortened(talk, lambda: talk.model.refuses.append(refusal))

    assert events[-1].type == "run.completed"
    assert (shortened(events) or {})["is_summarised"] is False
    assert TOLD not in system_of(talk.model.asked[-1])


async def said_until_shortened(talk: Talk, break_the_summary: Callable[[], None]) -> list[ServerEvent]:
    """The events of the first turn that leaves something out, where no summary comes of what each turn asks for."""
    for number in range(4):
        talk.model.asked.clear()
        break_the_summary()
        events = await talk.say(f"Now {number}.")
        assert talk.summaries
        if shortened(events):
            return events
    raise AssertionError("nothing is left out")


async def turns_before_a_summary(talk: Talk) -> None:
    """Have the conversation be one turn short of its first summary."""
    first = Talk(talk.chat, talk.model, str(talk._body["agent_id"]))
    await first.until_summarised()
    turns = len((await talk.chat.get(f"{CONVERSATIONS}/{first.id}/messages")).json()["items"]) // 2 - 1
    for number in range(turns):
        await talk.say(f"Turn {number}.")


async def test_an_empty_summary_is_none(talk: Talk) -> None:
    await turns_before_a_summary(talk)

    events = await said_until_shortened(talk, lambda: talk.model.scripted.extend([says("  "), says("Fine.")]))

    assert events[-1].type == "run.completed"
    assert (shortened(events) or {})["is_summarised"] is False


async def test_an_agent_that_does_not_ask_for_it_is_cut(
    talk: Talk, neighbours: Neighbours, agent_id: str, model: ModelServer
) -> None:
    neighbours.agents[agent_id]["history"] = "cut"

    told = [shortened(await talk.say(f"Turn {number}.")) for number in range(12)]

    assert told[0] is None
    assert told[-1]
    assert told[-1]["is_summarised"] is False
    assert len(model.asked) == 12


async def kept(suite: Suite, person: User, conversation_id: str) -> tuple[bytes | None, int, int]:
    """The summary as it lies, and for how long it and its conversation are kept, in ms."""
    keys = Keys(Owner(person.tenant_id, person.user_id))
    async with open_redis(suite.url("redis")) as redis:
        conversation_lasts = await redis.pttl(keys.conversation(conversation_id))
        found: Any = await redis.get(keys.summary(conversation_id))
        return found, await redis.pttl(keys.summary(conversation_id)), conversation_lasts


async def test_it_is_kept_no_longer_than_its_conversation_and_erased_with_it(
    talk: Talk, suite: Suite, person: User
) -> None:
    await talk.until_summarised()
    found, lasts, conversation_lasts = await kept(suite, person, talk.id)

    await talk.chat.delete(f"{CONVERSATIONS}/{talk.id}")

    assert found
    assert 0 < lasts <= conversation_lasts
    assert (await kept(suite, person, talk.id))[0] is None


async def test_it_holds_no_more_once_its_last_answer_is_given_anew(talk: Talk, suite: Suite, person: User) -> None:
    """One that ends with the last answer, as where a window holds no turn."""
    await talk.until_summarised()
    messages = (await talk.chat.get(f"{CONVERSATIONS}/{talk.id}/messages")).json()["items"]
    name = Keys(Owner(person.tenant_id, person.user_id)).summary(talk.id)
    async with open_redis(suite.url("redis")) as redis:
        await redis.set(name, b'{"text":"Never said.","message_id":"%b"}' % messages[-1]["id"].encode())
    talk.model.asked.clear()

    await talk.chat.post(f"{CONVERSATIONS}/{talk.id}/regenerate", json={"stream": False})

    assert "Never said." not in str(talk.model.asked)
    assert talk.summaries


async def test_a_fork_has_it_where_it_ends_before_the_fork_does(talk: Talk, suite: Suite, person: User) -> None:
    await talk.until_summarised()
    messages = (await talk.chat.get(f"{CONVERSATIONS}/{talk.id}/messages")).json()["items"]
    found = []
    for message in (messages[1], messages[-1]):
        forked = await talk.chat.post(f"{CONVERSATIONS}/{talk.id}/fork", json={"message_id": message["id"]})
        summary, lasts, conversation_lasts = await kept(suite, person, forked.json()["id"])
        found.append(summary)
        assert lasts <= conversation_lasts

    assert found[0] is None
    assert found[1] == (await kept(suite, person, talk.id))[0]


async def test_a_summary_of_another_replica_is_gone_on_from(
    talk: Talk, open_chat: OpenChat, person: User, agent_id: str
) -> None:
    await talk.until_summarised()
    async with open_chat() as other:
        other.headers.update(person.headers)
        elsewhere = Talk(other, talk.model, agent_id)
        elsewhere.id = talk.id
        talk.model.asked.clear()
        await elsewhere.say("Now.")

    assert TOLD in system_of(talk.model.asked[-1])
    assert talk.summaries == []
