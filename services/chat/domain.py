"""What chat talks about: messages, passages and citations, and one turn of a conversation."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from services.chat.generation import PromptMessage, ToolCall, Usage
from services.chat.given import Door, Given
from services.chat.images.domain import Image
from services.chat.times import now
from shared.identity import Caller
from shared.schemas import new_id
from shared.words import Word

Role = Literal["user", "assistant", "system", "developer", "tool"]
REFERENCE = re.compile(r"\[(\d{1,3})\]")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose conversations: a user within a tenant. To anybody else they do not exist."""

    tenant_id: str
    user_id: str

    @classmethod
    def of(cls, caller: Caller) -> "Owner":
        return cls(caller.tenant_id, caller.subject)


@dataclass(frozen=True, slots=True)
class Agent:
    """What a turn needs to know of an agent; without an id it is a model that is asked by itself."""

    id: str
    instructions: str
    model: str | None
    knowledge: tuple[str, ...]
    tools: tuple[str, ...] = ()
    summarises: bool = False
    """Whether it is told in short what was said in the turns that its prompt has no room for."""
    name: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text found in a collection; a higher score is a better match."""

    collection: str
    record_id: str
    score: float
    text: str


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage as it was given to the model, under `number`; `referenced` when the answer says `[number]`."""

    number: int
    collection: str
    record_id: str
    score: float
    text: str
    referenced: bool = False


@dataclass(frozen=True, slots=True)
class SearchWarning:
    """A collection that could not be searched, which the turn goes on without."""

    collection: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What retrieval found: passages best first, and what it went without."""

    passages: Sequence[Passage] = ()
    warnings: Sequence[SearchWarning] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is given; `sources` are the passages in it, in the order of their numbers.

    Of earlier messages that were answered `given` are in it, as they were said, and `left_out` are not.
    """

    messages: Sequence[PromptMessage]
    sources: Sequence[Citation]
    given: int = 0
    left_out: int = 0
    is_summarised: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation; `run_id` is the turn it belongs to, None for one that was put there as it is.

    Runs make those of the roles `user` and `assistant`; the others are given.
    """

    id: str
    run_id: str | None
    role: Role
    content: str
    citations: Sequence[Citation]
    created_at: datetime
    tool_call: ToolCall | None = None
    """Of a tool of the caller's, which an assistant's message then is in place of a text."""
    tool_call_id: str | None = None
    """Of the call whose result a tool's message is."""
    images: Sequence[Image] = ()
    """That a user's message shows."""


@dataclass(frozen=True, slots=True)
class LastTurn:
    """The end of a conversation: its last question, and the entries from there on as in `Turn.replaces`."""

    agent_id: str
    question: Message
    entries: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a user and everything needed to answer it."""

    run_id: str
    conversation_id: str
    is_new_conversation: bool
    owner: Owner
    agent: Agent
    question: Message
    token: str
    model: str
    """The agent's own, or the default of those that name none; another may answer in its place."""
    key_id: str | None = None
    """The API key that it was sent with."""
    response_schema: Mapping[str, Any] | None = None
    """The JSON Schema that the answer is to fit."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Of a new conversation."""
    replaces: Sequence[tuple[str, str]] = ()
    """What it is asked again in place of: the last entries of the stream of messages, newest first, each with its id of
    a message."""
    since: int = 0
    """The last event before this process went on with the run; 0 where it began it. Whoever has another is behind."""
    given: Given | None = None
    """What it is answered from in place of what a conversation holds."""

    @classmethod
    def begun(
        cls,
        caller: Caller,
        agent: Agent,
        content: str,
        conversation_id: str | None,
        *,
        default_model: str,
        response_schema: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> "Turn":
        """`caller` says `content` to `agent`: in the conversation, or in a new one."""
        run_id = new_id()
        return cls(
            run_id=run_id,
            conversation_id=conversation_id or new_id(),
            is_new_conversation=conversation_id is None,
            owner=Owner.of(caller),
            agent=agent,
            question=Message(new_id(), run_id, "user", content, [], now()),
            token=caller.token,
            model=agent.model or default_model,
            key_id=caller.key_id,
            response_schema=response_schema,
            metadata=metadata or {},
        )

    def handed_on(self, agent: Agent, task: str, *, model: str) -> "Turn":
        """The turn within this one in which `agent` does `task`, knowing of no message before."""
        question = Message(new_id(), self.run_id, "user", task, [], now())
        return replace(
            self,
            agent=agent,
            question=question,
            model=model,
            is_new_conversation=True,
            response_schema=None,
            given=None,
        )

    @classmethod
    def again(
        cls,
        caller: Caller,
        agent: Agent,
        conversation_id: str,
        last: "LastTurn",
        *,
        default_model: str,
        response_schema: Mapping[str, Any] | None = None,
    ) -> "Turn":
        """The question of the `last` turn is asked once more, and keeps its id; what was answered gives way."""
        content = last.question.content
        turn = cls.begun(
            caller, agent, content, conversation_id, default_model=default_model, response_schema=response_schema
        )
        question = replace(turn.question, id=last.question.id, images=last.question.images)
        return replace(turn, question=question, replaces=last.entries)

    def answer(self, content: str, sources: Sequence[Citation]) -> Message:
        """What the agent says to it now, from what it was given."""
        return Message(new_id(), self.run_id, "assistant", content, mark_references(sources, content), now())

    @property
    def door(self) -> Door:
        return self.given.door if self.given else Door.CHAT

    @property
    def is_alone(self) -> bool:
        """Whether it is of no conversation."""
        return self.given is not None and self.given.joins is None

    @property
    def ids(self) -> dict[str, str]:
        """What every event and error of this turn names."""
        return {"run_id": self.run_id, "conversation_id": self.conversation_id}


class RunState(Word):
    """What a run is; the first three are not its last."""

    QUEUED = "queued"
    RUNNING = "running"
    REQUIRES_ACTION = "requires_action"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class WaitingCall:
    """A call that is made only if a person approves it."""

    call_id: str
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a run waits for, and until when."""

    run_id: str
    conversation_id: str
    calls: Sequence[WaitingCall]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person says to one call."""

    approve: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it is kept: `error` is the problem it failed with, `usage` what the provider counted."""

    id: str
    conversation_id: str
    agent_id: str | None
    state: RunState
    model: str | None
    usage: Usage | None
    error: Mapping[str, Any] | None
    created_at: datetime
    finished_at: datetime | None
    waiting: Waiting | None = None
    door: Door = Door.CHAT


@dataclass(frozen=True, slots=True)
class Reply:
    """The outcome of a turn: what was said, or the calls of the caller's tools that it ends with."""

    run_id: str
    conversation_id: str
    message: Message
    model: str
    finish_reason: str
    usage: Usage | None
    warnings: Sequence[SearchWarning]
    tool_calls: Sequence[ToolCall] = ()
    estimate: Usage | None = None
    """What was used, where the provider has not counted all of it."""


def mark_references(sources: Sequence[Citation], answer: str) -> list[Citation]:
    """All sources of a prompt; those whose `[number]` stands in `answer` are marked."""
    named = {int(number) for number in REFERENCE.findall(answer)}
    return [replace(source, referenced=source.number in named) for source in sources]
