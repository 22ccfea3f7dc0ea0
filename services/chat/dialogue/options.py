"""What a caller says of how an answer is wanted, as all doors of OpenAI's clients take it."""

from collections.abc import Mapping, Set
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, WithJsonSchema
from pydantic_core import PydanticCustomError

from services.chat.runs.schemas import ResponseSchema, small
from shared.openai import OpenAIRequest
from shared.schemas import PathText, Text

_MOST_TOKENS: Final = 1_000_000
_DRAFT: Final = "$schema"
MOST_TOOLS: Final = 128
TOOL_NAME: Final = r"^[a-zA-Z0-9_-]{1,64}$"

ToolName = Annotated[str, Field(pattern=TOOL_NAME, examples=["get_weather"])]
CallId = Annotated[Text, Field(min_length=1, max_length=128, examples=["call_1"])]
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
Temperature = Annotated[float, Field(strict=True, ge=0, le=2)]
TopP = Annotated[float, Field(strict=True, ge=0, le=1)]
UserName = Annotated[Text, Field(max_length=512)]
MetadataKey = Annotated[str, Field(min_length=1, max_length=64)]
MetadataValue = Annotated[Text, Field(max_length=512)]
CallerMetadata = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=16)]
ToolDescription = Annotated[Text, Field(max_length=8_192)]
Parameters = Annotated[
    dict[str, Any],
    AfterValidator(small),
    Field(description="the JSON Schema of its arguments, at most 16 KiB; told to the model as it is"),
]
Members = Mapping[str, tuple[frozenset[str], frozenset[str]]]
"""By type what an object of it has and what it may have."""


def no_parameters() -> dict[str, Any]:
    """Of a function that takes none."""
    return {"type": "object", "properties": {}}


class FunctionGiven(OpenAIRequest):
    """A function of the caller's."""

    name: ToolName
    description: ToolDescription = ""
    parameters: Parameters = Field(default_factory=no_parameters)
    strict: StrictBool = False


def _of_this_draft(value: Any) -> Any:
    """Without the name of an older draft, which many clients write above schemas that read the same in both."""
    if isinstance(value, dict) and "json-schema.org/draft-0" in str(value.get(_DRAFT, "")):
        return {name: member for name, member in value.items() if name != _DRAFT}
    return value


AnswerSchema = Annotated[ResponseSchema, BeforeValidator(_of_this_draft)]


def _not(value: bool) -> bool:
    if value:
        raise PydanticCustomError("unsupported", "is not supported here")
    return value


Not = Annotated[StrictBool, AfterValidator(_not), WithJsonSchema({"type": "boolean", "const": False})]
"""False, or left out."""


class StreamOptions(OpenAIRequest):
    """How it is streamed."""

    include_obfuscation: Not = False


def require_tools(names: list[str], named: str | None, *, is_about_tools: bool) -> None:
    """Raises where two of a caller's tools have one name, or what is about them fits none: `named` is that of the tool
    that is to be called."""
    if len(set(names)) != len(names):
        raise PydanticCustomError("duplicate_items", "tools have each a name of their own")
    if not names and is_about_tools:
        raise PydanticCustomError("no_tools", "tool_choice and parallel_tool_calls are about tools, and there are none")
    if named is not None and named not in names:
        raise PydanticCustomError("tool_choice_unknown", "tool_choice names none of the tools")


def misfit(kind: str, members: Members, *, held: Set[str], named: Set[str]) -> str | None:
    """What is wrong with an object of that type that has these `held`, of which it names some: one that it needs and
    lacks, or one that its type has not."""
    demanded, allowed = members[kind]
    if missing := sorted(demanded - held):
        return f"of the type {kind} needs {missing[0]}"
    if strange := sorted(named - demanded - allowed):
        return f"of the type {kind} has no {strange[0]}"
    return None
