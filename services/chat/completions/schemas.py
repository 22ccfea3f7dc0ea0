"""What `/chat/completions` is asked, in OpenAI's shape. What is not declared is refused by name."""

from typing import Annotated, Any, Final, Literal, Self

import orjson
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StrictBool, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from services.chat.completions.messages import GivenMessage, ToolName, require_answered
from services.chat.completions.texts import Stop
from services.chat.runs.schemas import SCHEMA_BYTES, ResponseSchema
from shared.openai import OpenAIRequest, Unsupported
from shared.schemas import PathText, Text

_MESSAGES: Final = 2_000
_TOOLS: Final = 128
_MOST_TOKENS: Final = 1_000_000
_INT64: Final = 2**63
_DRAFT = "$schema"

ModelName = Annotated[
    Text,
    Field(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="an agent's id, an agent's name, or a model of a provider",
        examples=["support"],
    ),
]
ModelInPath = Annotated[PathText, Field(min_length=1, max_length=200, examples=["support"])]
"""As a `ModelName`, for paths: an agent whose name no path can carry is asked for by its id."""
Tokens = Annotated[int, Field(strict=True, ge=1, le=_MOST_TOKENS)]
Penalty = Annotated[float, Field(strict=True, ge=-2, le=2)]


def _small(schema: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(orjson.dumps(schema))
    except TypeError as error:
        raise PydanticCustomError("schema_refused", "must have no integer beyond 64 bits") from error
    if size > SCHEMA_BYTES:
        raise PydanticCustomError("schema_too_large", "must be at most 16 KiB of JSON")
    return schema


class FunctionGiven(OpenAIRequest):
    """A function of the caller's."""

    name: ToolName
    description: Annotated[Text, Field(max_length=8_192)] = ""
    parameters: Annotated[dict[str, Any], AfterValidator(_small)] = Field(
        default_factory=lambda: {"type": "object", "properties": {}},
        description="the JSON Schema of its arguments, at most 16 KiB; told to the model as it is",
    )
    strict: StrictBool = False


class ToolGiven(OpenAIRequest):
    """A tool of the caller's: a call of it is handed out, and never made here."""

    type: Literal["function"]
    function: FunctionGiven


def _choice(value: Any) -> Any:
    if value in ("none", "auto", "required"):
        return value
    if isinstance(value, dict) and value.keys() == {"type", "function"} and value["type"] == "function":
        function = value["function"]
        if isinstance(function, dict) and function.keys() == {"name"} and isinstance(function["name"], str):
            return value
    raise PydanticCustomError("tool_choice_unknown", "is none, auto, required, or names one function")


_NAMED: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "type": {"const": "function"},
        "function": {
            "type": "object",
            "properties": {"name": {"type": "string", "pattern": r"^[a-zA-Z0-9_-]{1,64}$"}},
            "required": ["name"],
            "additionalProperties": False,
        },
    },
    "required": ["type", "function"],
    "additionalProperties": False,
}
ToolChoice = Annotated[
    Any, BeforeValidator(_choice), WithJsonSchema({"anyOf": [{"enum": ["none", "auto", "required"]}, _NAMED]})
]


def _of_this_draft(value: Any) -> Any:
    """Without the name of an older draft, which many clients write above schemas that read the same in both."""
    if isinstance(value, dict) and "json-schema.org/draft-0" in str(value.get(_DRAFT, "")):
        return {name: member for name, member in value.items() if name != _DRAFT}
    return value


class FormGiven(OpenAIRequest):
    """The form that the answer is to have, which is held against it whether or not that is `strict`."""

    name: ToolName
    description: Annotated[Text, Field(max_length=8_192)] = ""
    response_schema: Annotated[ResponseSchema, BeforeValidator(_of_this_draft)] = Field(alias="schema")
    strict: StrictBool = False


class ResponseFormat(OpenAIRequest):
    """Text, any JSON object, or JSON of a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: FormGiven | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise PydanticCustomError("format_not_whole", "has a json_schema if its type is so, and only then")
        return self


class StreamOptions(OpenAIRequest):
    """How it is streamed."""

    include_usage: StrictBool = False
    include_obfuscation: Unsupported = None


def _not(value: bool) -> bool:
    if value:
        raise PydanticCustomError("unsupported", "is not supported here")
    return value


Not = Annotated[StrictBool, AfterValidator(_not), WithJsonSchema({"type": "boolean", "const": False})]
"""False, or left out."""


MetadataKey = Annotated[str, Field(min_length=1, max_length=64)]
MetadataValue = Annotated[Text, Field(max_length=512)]


class CompletionCreate(OpenAIRequest):
    """A question with all of its history."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "support", "messages": [{"role": "user", "content": "Which collections can FAISS serve?"}]}
            ]
        }
    )

    model: ModelName
    messages: Annotated[list[GivenMessage], Field(min_length=1, max_length=_MESSAGES)]
    stream: StrictBool = False
    stream_options: StreamOptions | None = None
    tools: Annotated[list[ToolGiven], Field(min_length=1, max_length=_TOOLS)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: StrictBool | None = None
    response_format: ResponseFormat | None = None
    max_tokens: Tokens | None = Field(default=None, description="as `max_completion_tokens`, by its older name")
    max_completion_tokens: Tokens | None = Field(
        default=None, description="of the answer at most; never more than the model may write here"
    )
    temperature: Annotated[float, Field(strict=True, ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(strict=True, ge=0, le=1)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    seed: Annotated[int, Field(strict=True, ge=-_INT64, lt=_INT64)] | None = None
    stop: Stop | None = None
    user: Annotated[Text, Field(max_length=512)] | None = None
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=16)] | None = None
    n: Annotated[int, Field(strict=True, ge=1, le=1)] = 1
    logprobs: Not = False
    modalities: Annotated[list[Literal["text"]], Field(min_length=1, max_length=1)] | None = None
    store: Not = Field(default=False, description="a completion is kept as a run for a day, and no longer")
    audio: Unsupported = None
    function_call: Unsupported = None
    functions: Unsupported = None
    logit_bias: Unsupported = None
    moderation: Unsupported = None
    prediction: Unsupported = None
    prompt_cache_key: Unsupported = None
    prompt_cache_options: Unsupported = None
    prompt_cache_retention: Unsupported = None
    reasoning_effort: Unsupported = None
    safety_identifier: Unsupported = None
    service_tier: Unsupported = None
    top_logprobs: Unsupported = None
    verbosity: Unsupported = None
    web_search_options: Unsupported = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        require_answered(self.messages)
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise PydanticCustomError("said_twice", "max_tokens and max_completion_tokens are the same: give one")
        if self.stream_options is not None and not self.stream:
            raise PydanticCustomError("not_a_stream", "stream_options are of a stream")
        self._require_tools()
        return self

    def _require_tools(self) -> None:
        names = [tool.function.name for tool in self.tools or ()]
        if len(set(names)) != len(names):
            raise PydanticCustomError("duplicate_items", "tools have each a name of their own")
        if not names and (self.tool_choice not in (None, "none", "auto") or self.parallel_tool_calls is not None):
            raise PydanticCustomError(
                "no_tools", "tool_choice and parallel_tool_calls are about tools, and there are none"
            )
        if isinstance(self.tool_choice, dict) and self.tool_choice["function"]["name"] not in names:
            raise PydanticCustomError("tool_choice_unknown", "tool_choice names none of the tools")
