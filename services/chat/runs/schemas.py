"""A turn on the wire."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from services.chat.conversations.metadata import Metadata
from services.chat.conversations.schemas import MessageRead
from services.chat.domain import RunState
from shared.schemas import Id, RequestModel, ResponseModel, SecretModel, Text, UtcDatetime
from shared.words import Word

_AGENT = "01890a5d-ac96-774b-bcce-b302099a8057"


class OnBusy(Word):
    """What becomes of a message while the one before it is being answered."""

    REJECT = "reject"
    INTERRUPT = "interrupt"


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
        description="while the last message is being answered: refuse this one (409), or cancel that run and begin",
    )

    @model_validator(mode="after")
    def _describes_what_it_begins(self) -> Self:
        if self.metadata is not None and self.conversation_id is not None:
            raise PydanticCustomError(
                "metadata_not_taken", "metadata are of a new conversation; those of one that is there are patched"
            )
        return self


class Regenerate(RequestModel):
    """How the new answer is wanted."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"stream": False}]})

    stream: StrictBool = Field(default=False, description="answer with the run's events as they happen")


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
    finish_reason: str = Field(description="`stop`, or `length` when the answer was cut at its limit")
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
    conversation_id: Id
    agent_id: Id | None = Field(description="null for a run that an earlier release began")
    state: RunState = Field(description="`running`, or how it ended")
    model: str | None = Field(description="likewise")
    usage: UsageRead | None = Field(description="null until it has completed, and when the provider does not count")
    error: RunError | None = Field(description="why it failed, null otherwise")
    created_at: UtcDatetime
    finished_at: UtcDatetime | None
