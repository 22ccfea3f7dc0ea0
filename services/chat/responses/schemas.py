"""What `/responses` is asked, in OpenAI's shape. What is not declared is refused by name."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, StrictBool, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from services.chat.dialogue.options import (
    MOST_TOOLS,
    TOOL_NAME,
    AnswerSchema,
    CallerMetadata,
    FunctionGiven,
    ModelName,
    StreamOptions,
    Temperature,
    Tokens,
    ToolName,
    TopP,
    UserName,
    require_tools,
)
from services.chat.items.contents import LONGEST
from services.chat.items.given import GivenItem
from services.chat.responses.ids import ResponseId
from shared.openai import OpenAIRequest, Unsupported
from shared.schemas import Text

_ITEMS: Final = 2_000


class FunctionTool(FunctionGiven):
    """A function of the caller's: a call of it is handed out, and never made here."""

    type: Literal["function"]
    allowed_callers: Unsupported = None
    defer_loading: Unsupported = None
    output_schema: Unsupported = None


def _is_function(value: Any) -> Any:
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind != "function":
        about = {"type": kind[:64]}
        raise PydanticCustomError("tool_unsupported", "is a {type}, which is not supported here: functions are", about)
    return value


Tool = Annotated[FunctionTool, BeforeValidator(_is_function)]


def _choice(value: Any) -> Any:
    if value in ("none", "auto", "required"):
        return value
    if isinstance(value, dict) and value.keys() == {"type", "name"}:
        name = value["name"] if value["type"] == "function" else None
        if isinstance(name, str):
            return value
    raise PydanticCustomError("tool_choice_unknown", "is none, auto, required, or names one function")


_NAMED: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"type": {"const": "function"}, "name": {"type": "string", "pattern": TOOL_NAME}},
    "required": ["type", "name"],
    "additionalProperties": False,
}
ToolChoice = Annotated[
    Any, BeforeValidator(_choice), WithJsonSchema({"anyOf": [{"enum": ["none", "auto", "required"]}, _NAMED]})
]


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


def _listed(value: Any) -> Any:
    return [{"role": "user", "content": value}] if isinstance(value, str) else value


_Items = Annotated[list[GivenItem], Field(min_length=1, max_length=_ITEMS)]
_Spoken = Annotated[Text, Field(max_length=LONGEST)]
Input = Annotated[_Items, BeforeValidator(_listed, json_schema_input_type=_Spoken | _Items)]
"""A text that a user says, or items."""


def _nothing(value: Any) -> Any:
    if isinstance(value, list) and value:
        raise PydanticCustomError("unsupported", "is not supported here, unless it is empty")
    return value


class ResponseCreate(OpenAIRequest):
    """A question."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "support", "input": "Which collections can FAISS serve?"}]}
    )

    model: ModelName
    input: Input
    instructions: Annotated[Text, Field(max_length=LONGEST)] | None = Field(
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
    include: Annotated[list[None], BeforeValidator(_nothing), Field(max_length=0)] | None = None
    conversation: Unsupported = None
    access_programs: Unsupported = None
    background_options: Unsupported = None
    context_management: Unsupported = None
    image: Unsupported = None
    max_tool_calls: Unsupported = None
    moderation: Unsupported = None
    prompt: Unsupported = None
    prompt_cache_key: Unsupported = None
    prompt_cache_options: Unsupported = None
    prompt_cache_retention: Unsupported = None
    safety_identifier: Unsupported = None
    service_tier: Unsupported = None
    top_logprobs: Unsupported = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise PydanticCustomError("not_a_stream", "stream_options are of a stream")
        if self.background and not self.store:
            raise PydanticCustomError("not_stored", "background is of a response that is stored")
        choice = self.tool_choice
        require_tools(
            [tool.name for tool in self.tools or ()],
            choice["name"] if isinstance(choice, dict) else None,
            is_about_tools=choice not in (None, "none", "auto"),
        )
        return self
