"""Conversations: a streamed message, a new title, what was said."""

import secrets
import time
from dataclasses import dataclass
from typing import Any

import httpx

from tests.faults.answers import Unanswered, is_declared
from tests.faults.ledger import Findings
from tests.faults.trades import API, Trade, pages
from tests.services.chat.client import events_of


@dataclass
class Said:
    """A conversation as its maker was told it is."""

    title: str
    contents: list[str]


class Chat(Trade):
    """Every message that a run told of, and every answer that was completed."""

    async def prepare(self) -> None:
        self._conversations: dict[str, Said] = {}
        body = {"name": f"Talker {self.mark}", "instructions": "Answer with one word."}
        self._agent_id = (await self.caller.create(f"{API}/agents/create", 201, json=body)).json()["id"]

    async def turn(self) -> None:
        content = f"{self.next_mark()}: say hello."
        conversation_id = await self._message({"agent_id": self._agent_id, "content": content, "stream": True})
        path, title = f"{API}/chat/conversations/{conversation_id}", f"about {content}"
        await self.caller.insist("PATCH", path, 200, json={"title": title})
        self._conversations[conversation_id].title = title
        await self.caller.ask("GET", f"{path}/messages", 200)

    async def _message(self, body: dict[str, Any]) -> str:
        """The conversation in which it was answered. A run that failed has told so, and the next is another."""
        give_up_at = time.monotonic() + self.caller.patience_seconds
        key = secrets.token_hex(12)
        while True:
            try:
                async with self.caller.stream(f"{API}/chat/message", key, body) as answer:
                    return await self._follow(body["content"], answer)
            except RunFailed as error:
                key = secrets.token_hex(12)
                await self.caller.wait_a_moment(give_up_at, error)
            except Unanswered as error:
                await self.caller.wait_a_moment(give_up_at, error)

    async def _follow(self, content: str, answer: httpx.Response) -> str:
        conversation_id = ""
        async for event in events_of(answer):
            match event.type:
                case "run.started":
                    conversation_id = event.data["conversation_id"]
                    self._conversations[conversation_id] = Said(content, [content])
                case "message.completed":
                    reply = event.data["message"]["content"]
                    self._conversations[conversation_id].contents = [content, reply]
                case "run.completed":
                    return conversation_id
                case "run.failed":
                    status, has_wait = event.data["status"], "retry_after_seconds" in event.data
                    self.caller.wrong_unless(is_declared(status, event.data, has_wait), f"run failed: {event.data}")
                    raise RunFailed(str(event.data))
        raise self._without_end()

    def _without_end(self) -> Unanswered:
        """A stream that ended neatly and without its last event, which none may."""
        self.caller.tally.is_wrong("a stream without a final event")
        return Unanswered("no final event")

    async def read_back(self) -> Findings:
        findings = Findings()
        titles = {each["id"]: each["title"] async for each in pages(self.caller, f"{API}/chat/conversations")}
        findings.once("conversation", self._conversations, titles)
        for conversation_id, said in self._conversations.items():
            path = f"{API}/chat/conversations/{conversation_id}/messages"
            contents = [message["content"] async for message in pages(self.caller, path)]
            findings.kept(f"messages of {conversation_id}: {contents}", holds=contents == said.contents)
            findings.kept(f"title of {conversation_id}", holds=titles.get(conversation_id) == said.title)
        return findings


class RunFailed(Unanswered):
    """The stream ended with `run.failed`."""
