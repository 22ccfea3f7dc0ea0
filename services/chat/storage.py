"""What chat keeps in Redis: the names of its keys, and the form of what lies under them.

All keys of one user share a hash tag, so they live in one slot of a cluster and may change together:

    chat:{tenant:user}:conversations              sorted set, conversation id by time of last activity in ms
    chat:{tenant:user}:conversation:<id>          hash, the conversation
    chat:{tenant:user}:conversation:<id>:messages stream, one entry a message
    chat:{tenant:user}:conversation:<id>:lease    text, the run that is answering now; expires unless renewed
    chat:{tenant:user}:conversation:<id>:queue    list, runs that wait for their turn, the next first
    chat:{tenant:user}:conversation:<id>:runs     set, runs whose events may still be kept
    chat:{tenant:user}:conversation:<id>:words    hash, by id of message (and `title`) the words it is found by
    chat:{tenant:user}:conversation:<id>:summary  JSON, its beginning in short, and the message that this ends with
    chat:{tenant:user}:run:<id>                   hash, the state of a run, and how it lies while it waits
    chat:{tenant:user}:run:<id>:events            stream, one entry an event, numbered from 1
    chat:{tenant:user}:run:<id>:hold              text, while it waits the process that will execute it; expires
    chat:{tenant:user}:run:<id>:left              hash, what one that is deleted has used and nobody counted; expires
    chat:{tenant:user}:copied                     number, bytes that forks have copied; expires a day after the first
    chat:{tenant:user}:once:<digest>              JSON, the run or fork that a request with an idempotency key made

Of a run of no conversation there are its own keys and a lease, under an id that nothing else lies under; that of a
response has in its hash what it was asked.

How much of it there is, and what turns used up, lies beside them (`keeping.py`, `runs/logs.py`, `usage/counts.py`).
Of no user is what a process is to hear (`runs/tails.py`), what is to be looked after (`runs/sweeping.py`,
`conversations/retention.py`), and what is shown in place of a token (`runs/tickets.py`):

    chat:inbox:<id>                               stream, orders to a process; expires some minutes after the last
    chat:ticket:<hash>                            JSON, whom a ticket to a run stands for; expires after a minute
    chat:running                                  sorted set, runs by when they are to be looked at in ms
    chat:queued                                   sorted set, likewise those that wait for their turn
    chat:retention                                hash, how far the last look at all conversations has come

What became of runs waits in one outbox until it is published (`runs/outbox.py`).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from services.chat.conversations.domain import Conversation
from services.chat.domain import Citation, Message, Owner
from services.chat.generation import ToolCall
from services.chat.images.domain import Image
from services.chat.times import from_ms
from shared.schemas import rfc3339

RUNNING = "chat:running"
QUEUED = "chat:queued"
RETENTION = "chat:retention"
KEPT_PARTS: Final = ("", ":messages", ":words", ":summary")
"""What is kept for as long as a conversation, and goes with it: how its keys go on after that of the conversation."""


def ticket_key(digest: str) -> str:
    """Where a ticket is kept, by the hash of it."""
    return f"chat:ticket:{digest}"


def running_member(owner: Owner, conversation_id: str, run_id: str) -> bytes:
    """How the sorted sets of runs that are looked after name one."""
    return orjson.dumps([owner.tenant_id, owner.user_id, conversation_id, run_id])


def run_named(key: str) -> tuple[Owner, str]:
    """Whose run `Keys.run` names, and its id."""
    tag, _, run_id = key.removeprefix("chat:{").partition("}:run:")
    tenant_id, _, user_id = tag.partition(":")
    return Owner(tenant_id, user_id), run_id


class Keys:
    """The keys of one owner."""

    def __init__(self, owner: Owner) -> None:
        self._root = f"chat:{{{owner.tenant_id}:{owner.user_id}}}"

    @property
    def conversations(self) -> str:
        return f"{self._root}:conversations"

    @property
    def copied(self) -> str:
        return f"{self._root}:copied"

    def conversation(self, conversation_id: str) -> str:
        return f"{self._root}:conversation:{conversation_id}"

    def messages(self, conversation_id: str) -> str:
        return f"{self.conversation(conversation_id)}:messages"

    def lease(self, conversation_id: str) -> str:
        return f"{self.conversation(conversation_id)}:lease"

    def queue(self, conversation_id: str) -> str:
        return f"{self.conversation(conversation_id)}:queue"

    def runs(self, conversation_id: str) -> str:
        return f"{self.conversation(conversation_id)}:runs"

    def words(self, conversation_id: str) -> str:
        return f"{self.conversation(conversation_id)}:words"

    def summary(self, conversation_id: str) -> str:
        return f"{self.conversation(conversation_id)}:summary"

    def run(self, run_id: str) -> str:
        return f"{self._root}:run:{run_id}"

    def hold(self, run_id: str) -> str:
        return f"{self.run(run_id)}:hold"

    def left(self, run_id: str) -> str:
        return f"{self.run(run_id)}:left"

    def once(self, digest: bytes) -> str:
        return f"{self._root}:once:{digest.hex()}"

    def events(self, run_id: str) -> str:
        return f"{self.run(run_id)}:events"


def message_members(message: Message) -> dict[str, Any]:
    """A message as JSON values, as it is stored."""
    members: dict[str, Any] = {
        "id": message.id,
        "run_id": message.run_id,
        "role": message.role,
        "content": message.content,
        "citations": list(message.citations),
        "created_at": rfc3339(message.created_at),
    }
    images = list(message.images) or None
    beside = {"tool_call": message.tool_call, "tool_call_id": message.tool_call_id, "images": images}
    return members | {name: value for name, value in beside.items() if value is not None}


def told_members(message: Message) -> dict[str, Any]:
    """The same as events carry it, which are of no calls: of an image they tell what it is, and show nothing."""
    members = message_members(message)
    return members | ({"images": [image.told for image in message.images]} if message.images else {})


def message_bytes(message: Message) -> bytes:
    return orjson.dumps(message_members(message))


def message_from(stored: bytes) -> Message:
    members = orjson.loads(stored)
    return Message(
        id=members["id"],
        run_id=members["run_id"],
        role=members["role"],
        content=members["content"],
        citations=[Citation(**citation) for citation in members["citations"]],
        created_at=datetime.fromisoformat(members["created_at"]),
        tool_call=ToolCall(**members["tool_call"]) if "tool_call" in members else None,
        tool_call_id=members.get("tool_call_id"),
        images=tuple(Image(**image) for image in members.get("images", ())),
    )


def conversation_from(conversation_id: str, stored: Mapping[bytes, bytes], kept_ms: int) -> Conversation:
    """A conversation as it lies in its hash, of an owner for whom one is kept for so long."""
    return Conversation(
        id=conversation_id,
        agent_id=stored[b"agent_id"].decode() or None,
        title=stored[b"title"].decode(),
        message_count=int(stored[b"message_count"]),
        version=int(stored[b"version"]),
        created_at=from_ms(int(stored[b"created_at"])),
        last_activity_at=from_ms(int(stored[b"last_activity_at"])),
        expires_at=from_ms(int(stored[b"last_activity_at"]) + kept_ms),
        metadata=orjson.loads(stored.get(b"metadata", b"{}")),
        forked_from=orjson.loads(stored.get(b"forked_from", b"null")),
    )
