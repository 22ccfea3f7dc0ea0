"""Searches of vector stores as OpenAI's clients ask and read them."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from services.vectors.domain import MAX_METADATA_KEY_CHARS, MAX_TEXT_CHARS
from services.vectors.errors import FilterInvalid
from services.vectors.records.filter_schema import Scalar
from services.vectors.records.filters import MAX_DEPTH, MAX_LEAVES, MAX_VALUES
from services.vectors.stores.domain import RESERVED
from shared.errors import Invalid, ServiceError
from shared.openai import OpenAIRequest, Unsupported
from shared.schemas import RequestModel, ResponseModel, Text

MAX_QUERIES: Final = 16
_QUERY: Final[dict[str, Any]] = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_CHARS}
Queries = Annotated[
    list[Annotated[Text, Field(min_length=1, max_length=MAX_TEXT_CHARS)]],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    Field(min_length=1, max_length=MAX_QUERIES),
    WithJsonSchema(
        {
            "anyOf": [_QUERY, {"type": "array", "items": _QUERY, "minItems": 1, "maxItems": MAX_QUERIES}],
            "examples": ["when are refunds paid?"],
        }
    ),
]
_COMPARISONS: Final = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")
_COMPOUNDS: Final = ("and", "or")


class ComparisonFilter(RequestModel):
    """True of a file whose attribute `key` is as `value`. `gt gte lt lte` compare numbers."""

    type: Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"]
    key: Annotated[str, Field(min_length=1, max_length=MAX_METADATA_KEY_CHARS)]
    value: Scalar | Annotated[list[Scalar], Field(min_length=1, max_length=MAX_VALUES)]


class CompoundFilter(RequestModel):
    """True where all of `filters` are, or one."""

    type: Literal["and", "or"]
    filters: Annotated[list["FilterSchema"], Field(min_length=1, max_length=MAX_LEAVES)]


FilterSchema = ComparisonFilter | CompoundFilter
Filters = Annotated[
    Any,
    PlainValidator(lambda value: value, json_schema_input_type=FilterSchema),
    Field(
        description=f"at most {MAX_DEPTH} levels and {MAX_LEAVES} comparisons",
        examples=[{"type": "eq", "key": "team", "value": "support"}],
    ),
]


class RankingOptions(OpenAIRequest):
    """How results are found."""

    ranker: Literal["auto", "none"] = Field(
        default="auto", description="`auto`: by meaning and words where the engine has both; `none`: by meaning alone"
    )
    score_threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        strict=True,
        description="leaves out what scores less; hybrid scores are 1 for the first in both",
    )


class StoreSearch(OpenAIRequest):
    """A question, or several that are asked together."""

    query: Queries
    filters: Filters | None = None
    max_num_results: int = Field(default=10, ge=1, le=50, strict=True)
    ranking_options: RankingOptions = Field(default_factory=RankingOptions)
    rewrite_query: Unsupported = None


class TextPart(ResponseModel):
    type: Literal["text"] = "text"
    text: str


class FileContent(ResponseModel):
    """All of it: there is one page."""

    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: list[TextPart]
    has_more: Literal[False] = False
    next_page: None = None


class StoreFound(ResponseModel):
    """A part of a file that was found."""

    file_id: str = Field(description="of what did not come from a file its document, or its record")
    filename: str
    score: float = Field(description="higher is better")
    attributes: dict[str, str | bool | int | float] = Field(description="of the file")
    content: list[TextPart]

    @classmethod
    def of(
        cls, file_id: str, file_name: str, score: float, text: str | None, metadata: Mapping[str, Any]
    ) -> "StoreFound":
        attributes = {
            name: value for name, value in metadata.items() if name not in RESERVED and not isinstance(value, list)
        }
        content = [] if text is None else [TextPart(text=text)]
        return cls(file_id=file_id, filename=file_name, score=score, attributes=attributes, content=content)


class StoreFoundPage(ResponseModel):
    """Best first; there is one page."""

    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[StoreFound]
    has_more: Literal[False] = False
    next_page: None = None


def in_our_words(data: object, pointer: str = "/filters", depth: int = 1) -> dict[str, Any]:
    """The filter in the language of `records/filters.py`, which judges its values. Raises FilterInvalid."""
    if depth > MAX_DEPTH:
        raise _refused(pointer, "filter_too_deep", f"A filter may be {MAX_DEPTH} levels deep.")
    if not isinstance(data, dict):
        raise _refused(pointer, "filter_form", "Must be an object with a `type`.")
    kind = data.get("type")
    if kind in _COMPOUNDS:
        _require_only(data, pointer, "filters")
        parts = data.get("filters")
        if not isinstance(parts, list) or not 1 <= len(parts) <= MAX_LEAVES:
            raise _refused(f"{pointer}/filters", "filter_form", f"Must be a list of 1 to {MAX_LEAVES} filters.")
        return {kind: [in_our_words(part, f"{pointer}/filters/{at}", depth + 1) for at, part in enumerate(parts)]}
    if kind not in _COMPARISONS:
        raise _refused(f"{pointer}/type", "filter_op", f"Must be one of {', '.join((*_COMPARISONS, *_COMPOUNDS))}.")
    _require_only(data, pointer, "key", "value")
    return {"field": data.get("key"), "op": kind, "value": data.get("value")}


def pointed_at_theirs(error: ServiceError) -> ServiceError:
    """`error` of a batch of our searches, pointing at the members of the search that they were made of."""
    for problem in error.errors:
        rest = problem.pointer.split("/", 3)[3:]  # after "", "searches", its number; of all of them there is no number
        pointer = f"/{rest[0]}" if rest else ""
        if pointer.startswith("/filter"):
            for ours, theirs in (("/and/", "/filters/"), ("/or/", "/filters/"), ("/field", "/key"), ("/op", "/type")):
                pointer = pointer.replace(ours, theirs)
            pointer = pointer.replace("/filter", "/filters", 1)
        problem.pointer = pointer
    return error


def _require_only(data: Mapping[str, Any], pointer: str, *known: str) -> None:
    if unknown := data.keys() - {"type", *known}:
        raise _refused(pointer, "extra_forbidden", f"Unknown member {min(unknown)[:64]!r}.")


def _refused(pointer: str, code: str, detail: str) -> Invalid:
    return FilterInvalid.field(pointer, code, detail)
