"""Tools that a caller of responses brings."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from services.chat.dialogue.options import (
    TOOL_NAME,
    Members,
    Parameters,
    ToolDescription,
    ToolName,
    misfit,
    no_parameters,
    require_tools,
)
from services.chat.given import FileSearch
from services.chat.items.contents import quotable
from services.chat.tools.files import WIRE_NAME
from shared.json_schema import JsonSchema
from shared.openai import OpenAIRequest, Unsupported

_STORES: Final = 8
FILE_SEARCH: Final = "file_search"
_VALUES: Final[list[dict[str, Any]]] = [
    {"type": "string", "maxLength": 512},
    {"type": "number", "minimum": -1e300, "maximum": 1e300},
    {"type": "boolean"},
]
StoreId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", examples=["support-faq"])]
ToolType = Literal["function", "file_search"]
_OF_TYPE: Final[Members] = {
    "function": (frozenset({"name"}), frozenset({"description", "parameters", "strict"})),
    FILE_SEARCH: (
        frozenset({"vector_store_ids"}),
        frozenset({"max_num_results", "filters", "ranking_options"}),
    ),
}


def _is_known(value: Any) -> Any:
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind not in _OF_TYPE:
        known = {"type": quotable(kind), "known": ", ".join(_OF_TYPE)}
        raise PydanticCustomError("tool_unsupported", "is a {type}, which is not supported here: {known} are", known)
    return value


_COMPARISON: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "type": {"enum": ["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]},
        "key": {"type": "string", "minLength": 1, "maxLength": 256},
        "value": {"anyOf": [*_VALUES, {"type": "array", "items": {"anyOf": _VALUES}, "minItems": 1, "maxItems": 100}]},
    },
    "required": ["type", "key", "value"],
    "additionalProperties": False,
}


def _of_filters(inner: Mapping[str, Any]) -> dict[str, Any]:
    filters = {"type": "array", "items": inner, "minItems": 1, "maxItems": 64}
    compound = {
        "type": "object",
        "properties": {"type": {"enum": ["and", "or"]}, "filters": filters},
        "required": ["type", "filters"],
        "additionalProperties": False,
    }
    return {"anyOf": [_COMPARISON, compound]}


_FILTER: Final = _of_filters(_of_filters(_of_filters(_COMPARISON)))
_AS_FILTER: Final = JsonSchema(_FILTER)


def _filter(value: dict[str, Any]) -> dict[str, Any]:
    if _AS_FILTER.problems(value):
        raise PydanticCustomError("filter_not_valid", "is no comparison, and no and or or of some, three levels deep")
    return value


Filter = Annotated[dict[str, Any], AfterValidator(_filter), WithJsonSchema(_FILTER)]
"""What is true of the files that are searched, in OpenAI's language; the service of vectors judges its values."""


class FileRanking(OpenAIRequest):
    """How parts of files are found."""

    ranker: Literal["auto", "none"] = Field(
        default="auto",
        description="`auto`: by meaning, and by words where there is one store that has both; `none`: by meaning",
    )
    score_threshold: Annotated[float, Field(ge=0, le=1, strict=True)] | None = None
    hybrid_search: Unsupported = None


class ResponseTool(OpenAIRequest):
    """A function of the caller's, a call of which is handed out and never made here; or `file_search`, which is made
    here, in vector stores that the caller may read.

    One model for both, so that a refusal names the place as a caller wrote it.
    """

    type: ToolType
    name: Annotated[ToolName | None, Field(description="of a function, which also has what follows")] = None
    description: ToolDescription = ""
    parameters: Parameters = Field(default_factory=no_parameters)
    strict: StrictBool = False
    vector_store_ids: Annotated[list[StoreId], Field(min_length=1, max_length=_STORES)] | None = Field(
        default=None, description="of `file_search`, which also has what follows: the stores, which are collections"
    )
    max_num_results: Annotated[int, Field(ge=1, le=50, strict=True)] = 10
    filters: Filter | None = None
    ranking_options: FileRanking = Field(default_factory=FileRanking)
    allowed_callers: Unsupported = None
    defer_loading: Unsupported = None
    output_schema: Unsupported = None

    @model_validator(mode="after")
    def _is_of_its_type(self) -> Self:
        held = {name for name in type(self).model_fields if getattr(self, name) is not None}
        if wrong := misfit(self.type, _OF_TYPE, held=held, named=self.model_fields_set - {"type"}):
            raise _refusal(wrong)
        return self

    @property
    def shown(self) -> dict[str, Any]:
        """As a response shows it."""
        demanded, allowed = _OF_TYPE[self.type]
        members = self.model_dump(include={"type", *demanded, *allowed}, exclude={"ranking_options"})
        ranking = {"ranking_options": self.ranking_options.model_dump(include={"ranker", "score_threshold"})}
        return members | (ranking if self.type == FILE_SEARCH else {})


Tool = Annotated[ResponseTool, BeforeValidator(_is_known)]


def _refusal(what: str) -> PydanticCustomError:
    return PydanticCustomError("tool_not_valid", "{what}", {"what": what})


def _choice(value: Any) -> Any:
    if value in ("none", "auto", "required") or value == {"type": FILE_SEARCH}:
        return value
    if isinstance(value, dict) and value.keys() == {"type", "name"}:
        name = value["name"] if value["type"] == "function" else None
        if isinstance(name, str):
            return value
    raise PydanticCustomError("tool_choice_unknown", "is none, auto, required, or names one function, or file_search")


_NAMED: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"type": {"const": "function"}, "name": {"type": "string", "pattern": TOOL_NAME}},
    "required": ["type", "name"],
    "additionalProperties": False,
}
_SEARCH: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"type": {"const": FILE_SEARCH}},
    "required": ["type"],
    "additionalProperties": False,
}
ToolChoice = Annotated[
    Any, BeforeValidator(_choice), WithJsonSchema({"anyOf": [{"enum": ["none", "auto", "required"]}, _NAMED, _SEARCH]})
]


def files_of(tools: Sequence[ResponseTool]) -> FileSearch | None:
    """What the search among the tools looks through."""
    for tool in tools:
        if tool.vector_store_ids:
            ranking = tool.ranking_options
            return FileSearch(
                list(dict.fromkeys(tool.vector_store_ids)),
                tool.max_num_results,
                ranking.ranker == "auto",
                ranking.score_threshold,
                tool.filters,
            )
    return None


def require_fit(tools: Sequence[ResponseTool], choice: Any) -> None:
    """Raises where two tools have one name, or there are two searches, or what is to be called is none of them."""
    searches = [tool for tool in tools if tool.type == FILE_SEARCH]
    if len(searches) > 1:
        raise PydanticCustomError("duplicate_items", "there may be one file_search, of all stores")
    names = [tool.name for tool in tools if tool.name is not None] + [WIRE_NAME for _ in searches]
    named = choice.get("name", WIRE_NAME) if isinstance(choice, dict) else None
    require_tools(names, named, is_about_tools=choice not in (None, "none", "auto"))
