"""A turn on the wire."""

from typing import Annotated, Any, Self

import orjson
from fastapi import Query
from pydantic import AfterValidator, ConfigDict, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from services.chat.conversations.metadata import Metadata
from services.chat.conversations.schemas import MessageRead
from services.chat.domain import RunState
from services.chat.given import Door
from shared.json_schema import JsonSchema, SchemaRefused
from shared.schemas import Id, PathText, RequestModel, ResponseModel, SecretModel, Text, UtcDatetime
from shared.words import Word

_AGENT = "01890a5d-ac96-774b-bcce-b302099a8057"


_SCHEMA_BYTES = 16 * 1024


def small(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON Schema of which a document of 16 KiB may be made. Raises PydanticCustomError."""
    try:
        size = len(orjson.dumps(schema))
    except TypeError as error:
        raise PydanticCustomError("schema_refused", "must have no integer beyond 64 bits") from error
    if size > _SCHEMA_BYTES:
        raise PydanticCustomError("schema_too_large", "must be at most 16 KiB of JSON")
    return schema


def _usable(schema: dict[str, Any]) -> dict[str, Any]:
    try:
        JsonSchema(small(schema))
    except SchemaRefused as error:
        raise PydanticCustomError("schema_refused", "is not usable: {reason}", {"reason": error.detail}) from error
    return schema


ResponseSchema = Annotated[dict[str, Any], AfterValidator(_usable)]


class OnBusy(Word):
    """What becomes of a message while the one before it is being answered."""

    REJECT = "reject"
    INTERRUPT = "interrupt"
    ENQUEUE = "enqueue"


class MessageCreate(RequestModel):
    """What a user says to an agent."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"agent_id": _AGENT, "content": "Which collections can FAISS serve?"}]}
    )

    agent_id: Id
    content: Annotated[Text, Field(min_length=1, max_length=32_768, pattern=r"\S", description="not only blanks")]
    conversation_id: Id | None = Field(default=None, description="go on with this one; without it a new one begins")
    metadata: Metadata | None = Field(default=None, description="of the new conversation; not with `conversation_id`")
    stream: StrictBool = Field(default=False, description="answer with the run's events as they happen")
    on_busy: OnBusy = Field(
        default=OnBusy.REJECT,
        description="while the last message is being answered: refuse this one (409); `interrupt`: cancel that run and "
        "those that wait, and begin; `enqueue`: have it wait for its turn, behind those that do",
    )
    response_schema: ResponseSchema | None = Field(
        default=None,
        description="JSON Schema (2020-12, at most 16 KiB, no reference out of it) that the answer is to fit: its "
        "`content` is then JSON, else the run fails",
        examples=[None],
    )

    @model_validator(mode="after")
    def _describes_what_it_begins(self) -> Self:
        if self.metadata is not None and self.conversation_id is not None:
            raise PydanticCustomError(
                "metadata_not_taken", "metadata are of a new conversation; those of one that is there are patched"
            )
        return self


class ApprovalCreate(RequestModel):
    """What a person says to a call that waits."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"approve": False, "reason": "Too expensive."}]})

    approve: StrictBool
    reason: (
        Annotated[Text, Field(min_length=1, max_length=1_000, description="told to the model with a denial")] | None
    ) = None


CallId = Annotated[PathText, Field(min_length=1, max_length=64, examples=["call00001"])]


class WaitingCallRead(ResponseModel):
    """A call that is made only if it is approved."""

    call_id: str = Field(examples=["call00001"])
    tool: str
    arguments: dict[str, Any]


class WaitingRead(ResponseModel):
    """What a run waits for."""

    calls: list[WaitingCallRead]
    expires_at: UtcDatetime = Field(description="then the run fails")


class RunWaitingRead(WaitingRead):
    """In place of an answer: the run waits."""

    run_id: Id
    conversation_id: Id


class Regenerate(RequestModel):
    """How the new answer is wanted; nothing of how the last one was is remembered."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"stream": False}]})

    stream: StrictBool = Field(default=False, description="answer with the run's events as they happen")
    response_schema: ResponseSchema | None = Field(
        default=None,
        description="as with a message, and to be given again: an answer asked for anew without it has no form",
        examples=[None],
    )


class UsageRead(ResponseModel):
    """Tokens, as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class SearchWarningRead(ResponseModel):
    """A collection of the agent that was not searched; the answer was made without it."""

    collection: str
    code: str = Field(examples=["vectors.collection_not_found"])
    detail: str


class ReplyRead(ResponseModel):
    """The answer to a message."""

    run_id: Id
    conversation_id: Id
    message: MessageRead
    model: str
    finish_reason: str = Field(
        description="`stop`, `length` when the answer was cut at its limit, or `refusal` when it is the model's word "
        "that it will not answer"
    )
    usage: UsageRead | None = Field(description="null when the provider does not count")
    warnings: list[SearchWarningRead] = Field(description="what the answer was made without")


class TicketRead(SecretModel):
    """What opens the events of one run without a header."""

    ticket: str = Field(description="for `?ticket=` of the run's events")
    expires_at: UtcDatetime = Field(description="within a minute; until then it may be shown again")


class RunError(ResponseModel):
    """Why a run failed, as its `run.failed` said it."""

    status: int = Field(description="what an answer over HTTP would have had")
    code: str = Field(description="stable, safe to branch on")
    title: str
    detail: str
    trace_id: str
    retry_after_seconds: int | None = Field(default=None, description="where the same message may succeed later")


class RunRead(ResponseModel):
    """A run: one turn of a conversation."""

    id: Id
    conversation_id: Id = Field(description="of a completion one that leads nowhere: it is of no conversation")
    agent_id: Id | None = Field(
        description="null for a model that was asked by itself, and for a run that an earlier release began"
    )
    state: RunState = Field(
        description="`queued` while it waits for its turn, `running`, `requires_action` while it waits for approvals, "
        "or how it ended"
    )
    model: str | None = Field(description="likewise")
    usage: UsageRead | None = Field(description="null until it has completed, and when the provider does not count")
    error: RunError | None = Field(description="why it failed, null otherwise")
    created_at: UtcDatetime
    finished_at: UtcDatetime | None
    waiting: WaitingRead | None = Field(description="the calls to decide on while it `requires_action`, null otherwise")
    door: Door = Field(
        description="by which it came: a message of `chat`, or a question to `/chat/completions` or `/responses`"
    )


TicketShown = Annotated[
    str | None,
    Query(
        max_length=64,
        description="a ticket to this run (`chat_create_ticket`), for an `EventSource`, which can send no header",
    ),
]
