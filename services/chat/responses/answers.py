"""A response as OpenAI's clients read it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from services.chat.items.reading import CallItem, FileSearchCallItem, ReasoningItem, SaidItem
from shared.schemas import Id, ResponseModel

ResponseStatus = Literal["in_progress", "completed", "incomplete", "failed", "cancelled"]
OutputItem = Annotated[SaidItem | CallItem | FileSearchCallItem | ReasoningItem, Field(discriminator="type")]


class ResponseErrorRead(ResponseModel):
    """Why there is no answer."""

    code: str = Field(description="stable, safe to branch on (docs/errors.md)")
    message: str


class IncompleteRead(ResponseModel):
    """Why it is not whole."""

    reason: Literal["max_output_tokens", "content_filter"]


class CachedRead(ResponseModel):
    """Nobody here counts these."""

    cached_tokens: Literal[0] = 0


class ThoughtRead(ResponseModel):
    """Nobody here counts these."""

    reasoning_tokens: Literal[0] = 0


class ResponseUsageRead(ResponseModel):
    """Tokens of all that the answer took, an agent's own steps included."""

    input_tokens: int
    input_tokens_details: CachedRead
    output_tokens: int
    output_tokens_details: ThoughtRead
    total_tokens: int
    is_estimated: bool = Field(description="where the provider has not counted all")


class ResponseReasoningRead(ResponseModel):
    """How the model was to think before."""

    effort: str | None
    summary: None = None


class FormatRead(ResponseModel):
    """As it was given; what was left out is."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    answer_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class ResponseTextRead(ResponseModel):
    """The form that the answer was to have."""

    format: FormatRead


class FunctionToolRead(ResponseModel):
    """A function of the caller's."""

    type: Literal["function"] = "function"
    name: str
    description: str
    parameters: dict[str, Any]
    strict: bool


class RankingRead(ResponseModel):
    """As it was given."""

    ranker: Literal["auto", "none"]
    score_threshold: float | None = None


class FileSearchToolRead(ResponseModel):
    """The search of vector stores."""

    type: Literal["file_search"] = "file_search"
    vector_store_ids: list[str]
    max_num_results: int
    filters: dict[str, Any] | None
    ranking_options: RankingRead


ResponseToolRead = Annotated[FunctionToolRead | FileSearchToolRead, Field(discriminator="type")]


class ConversationOfRead(ResponseModel):
    """The conversation that a response was answered in."""

    id: str = Field(description="`conv_` and its id")


class ResponseRead(ResponseModel):
    """A response."""

    id: str = Field(description="`resp_` and the id of the run")
    object: Literal["response"] = "response"
    created_at: int = Field(description="in seconds since 1970")
    completed_at: int | None = Field(default=None, description="once it has its answer")
    status: ResponseStatus
    error: ResponseErrorRead | None
    incomplete_details: IncompleteRead | None
    model: str = Field(description="as it was asked for, or the model that answered in its place")
    output: list[OutputItem]
    usage: ResponseUsageRead | None = Field(description="once there is an answer")
    background: bool
    conversation: ConversationOfRead | None = None
    frequency_penalty: float = Field(default=0, description="none is set here")
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None = Field(default=None, description="the bound of steps is this installation's")
    metadata: dict[str, str]
    parallel_tool_calls: bool
    presence_penalty: float = Field(default=0, description="none is set here")
    previous_response_id: str | None
    prompt_cache_key: str | None = None
    reasoning: ResponseReasoningRead
    safety_identifier: str | None = None
    service_tier: str = Field(default="default", description="there is one")
    store: bool
    temperature: float = Field(description="1 where it was left out: the provider's own default, whatever that is")
    text: ResponseTextRead
    tool_choice: Any
    tools: list[ResponseToolRead]
    top_logprobs: int = Field(default=0, description="none are told")
    top_p: float = Field(description="1 where it was left out, as with `temperature`")
    truncation: Literal["disabled"] = "disabled"
    user: str | None
    run_id: Id = Field(description="for `/chat/runs/{id}`")


class ResponseDeleted(ResponseModel):
    """It is gone."""

    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True
