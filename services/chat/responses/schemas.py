"""What `/responses` is asked, in OpenAI's shape. What is not declared is refused by name."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from services.chat.dialogue.options import (
    MOST_TOOLS,
    AnswerSchema,
    CallerMetadata,
    ModelName,
    StreamOptions,
    Temperature,
    Tokens,
    ToolName,
    TopP,
    UserName,
)
from services.chat.items.contents import LONGEST
from services.chat.items.given import GivenItem
from services.chat.items.ids import ConversationId
from services.chat.responses.ids import ResponseId
from services.chat.responses.tools import ResponseTool, Tool, ToolChoice, require_fit
from shared.openai import OpenAIRequest, Unsupported
from shared.schemas import Text

_ITEMS: Final = 2_000


class TextFormat(OpenAIRequest):
    """Text, any JSON object, or JSON of a schema, which the answer is held against whether or not it is `strict`."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: ToolName | None = None
    description: Annotated[Text, Field(max_length=8_192)] | None = None
    response_schema: AnswerSchema | None = Field(default=None, alias="schema")
    strict: StrictBool | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        is_schema = self.type == "json_schema"
        beside = (self.name, self.description, self.response_schema, self.strict)
        if is_schema and (self.name is None or self.response_schema is None):
            raise PydanticCustomError("format_not_whole", "of the type json_schema has a name and a schema")
        if not is_schema and any(one is not None for one in beside):
            raise PydanticCustomError("format_not_whole", "has a name, a schema and more if its type is json_schema")
        return self


class TextOptions(OpenAIRequest):
    """The form of the answer."""

    format: TextFormat = Field(default_factory=TextFormat)
    verbosity: Unsupported = None


class ReasoningOptions(OpenAIRequest):
    """How the model thinks before."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = Field(
        default=None, description="told to the provider as it is, which may refuse it"
    )
    summary: Unsupported = None
    generate_summary: Unsupported = None
    context: Unsupported = None
    mode: Unsupported = None


class ConversationNamed(OpenAIRequest):
    """A conversation, by its id."""

    id: ConversationId


def _listed(value: Any) -> Any:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


_Items = Annotated[list[GivenItem], Field(min_length=1, max_length=_ITEMS)]
_Spoken = Annotated[Text, Field(max_length=LONGEST)]
Input = Annotated[_Items, BeforeValidator(_listed, json_schema_input_type=_Spoken | _Items)]
"""A text that a user says, or items."""
Instructions = Annotated[Text, Field(max_length=LONGEST)]
CallersKey = Annotated[Text, Field(min_length=1, max_length=64, description="told to the provider as it is")]
RESULTS: Final = "file_search_call.results"
Included = Literal["file_search_call.results"]


def _named(value: Any) -> Any:
    """The id in it, where it is an object."""
    return value["id"] if isinstance(value, dict) and value.keys() == {"id"} else value


Conversation = Annotated[
    ConversationId, BeforeValidator(_named, json_schema_input_type=ConversationId | ConversationNamed)
]
"""The id of one, or an object of it."""


class ResponseCompact(OpenAIRequest):
    """What is to be told in short."""

    model: ModelName
    input: Input | None = Field(default=None, examples=["Which collections can FAISS serve?"])
    instructions: Instructions | None = Field(default=None, description="what is to be told, beside what is usual")
    previous_response_id: ResponseId | None = Field(default=None, description="all that was said up to its answer")
    prompt_cache_key: CallersKey | None = None
    prompt_cache_options: Unsupported = None
    prompt_cache_retention: Unsupported = None
    service_tier: Literal["auto", "default"] | None = Field(default=None, description="there is one")

    @model_validator(mode="after")
    def _has_something(self) -> Self:
        if self.input is None and self.previous_response_id is None:
            raise PydanticCustomError("nothing_said", "has input or previous_response_id, or both")
        return self


class ResponseCreate(OpenAIRequest):
    """A question."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "support", "input": "Which collections can FAISS serve?"}]}
    )

    model: ModelName
    input: Input
    instructions: Instructions | None = Field(
        default=None, description="behind those of an agent; of this response alone, not of those that go on from it"
    )
    previous_response_id: ResponseId | None = Field(default=None, description="the response to go on from")
    stream: StrictBool = False
    stream_options: StreamOptions | None = None
    background: StrictBool = Field(default=False, description="answer at once, and go on whoever leaves")
    store: StrictBool = Field(default=True, description="whether it can be read again, and gone on from, for a day")
    max_output_tokens: Tokens | None = Field(
        default=None, description="of the answer at most; never more than the model may write here"
    )
    temperature: Temperature | None = None
    top_p: TopP | None = None
    metadata: CallerMetadata | None = None
    text: TextOptions = Field(default_factory=TextOptions)
    tools: Annotated[list[Tool], Field(max_length=MOST_TOOLS)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: StrictBool | None = None
    reasoning: ReasoningOptions | None = None
    truncation: Literal["disabled"] | None = Field(default=None, description="nothing that is given is left out")
    user: UserName | None = None
    include: Annotated[list[Included], Field(max_length=8)] | None = None
    conversation: Conversation | None = Field(
        default=None, description="the conversation to go on in, which gets the input and the answer"
    )
    access_programs: Unsupported = None
    background_options: Unsupported = None
    context_management: Unsupported = None
    image: Unsupported = None
    max_tool_calls: Unsupported = None
    moderation: Unsupported = None
    prompt: Unsupported = None
    prompt_cache_key: CallersKey | None = None
    prompt_cache_options: Unsupported = None
    prompt_cache_retention: Unsupported = None
    safety_identifier: CallersKey | None = None
    service_tier: Literal["auto", "default"] | None = Field(default=None, description="there is one")
    top_logprobs: Annotated[int, Field(ge=0, le=0, strict=True)] | None = None

    @field_validator("conversation")
    @classmethod
    def _has_one_past(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("previous_response_id") is not None:
            raise PydanticCustomError("two_pasts", "cannot stand beside previous_response_id: give one of them")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise PydanticCustomError("not_a_stream", "stream_options are of a stream")
        if self.background and not self.store:
            raise PydanticCustomError("not_stored", "background is of a response that is stored")
        require_fit(self.tools or (), self.tool_choice)
        return self

    @property
    def functions(self) -> Sequence[ResponseTool]:
        """The caller's own among the tools."""
        return [tool for tool in self.tools or () if tool.type == "function"]

    @property
    def shows_results(self) -> bool:
        """Whether what a search has found is shown."""
        return RESULTS in (self.include or ())
