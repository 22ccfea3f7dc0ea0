"""Collections and records as callers see them."""

from array import array
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from services.vectors import filters
from services.vectors.domain import (
    COLLECTION_NAME,
    MAX_DIMENSION,
    MAX_ID_CHARS,
    MAX_INTEGER,
    MAX_ITEMS,
    MAX_K,
    MAX_METADATA_KEY_CHARS,
    MAX_METADATA_KEYS,
    MAX_METADATA_LIST,
    MAX_METADATA_STRING_CHARS,
    MAX_TEXT_CHARS,
    EngineName,
    Metadata,
    Metric,
    Op,
    SearchMode,
)
from services.vectors.metadata import member_problem
from services.vectors.records import Item
from services.vectors.terms import Condition
from shared.schemas import RequestModel, ResponseModel, Text, UtcDatetime

_SCALAR_SCHEMA: list[dict[str, Any]] = [
    {"type": "string", "maxLength": MAX_METADATA_STRING_CHARS},
    {"type": "number", "description": f"integers up to ±{MAX_INTEGER}"},
    {"type": "boolean"},
]
_FLOAT32_MAX = 3.4e38


def _known_engine(value: object) -> object:
    if isinstance(value, str) and value not in set(EngineName):
        known = ", ".join(EngineName)
        raise PydanticCustomError(
            "unknown_engine",
            "There is no engine {given}; there are {known}.",
            {"given": repr(value[:64]), "known": known},
        )
    return value


def _numbers(value: object) -> NDArray[np.float64]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_DIMENSION:
        raise PydanticCustomError("vector_form", "Must be a list of 1 to {most} numbers.", {"most": MAX_DIMENSION})
    if not set(map(type, value)) <= {float, int}:
        raise PydanticCustomError("vector_form", "Every element must be a number.")
    try:
        return np.frombuffer(array("d", value))
    except OverflowError as error:
        raise PydanticCustomError("vector_form", "Every number must be finite in 32-bit floating point.") from error


def _metadata(value: object) -> Metadata:
    if not isinstance(value, dict) or len(value) > MAX_METADATA_KEYS:
        raise PydanticCustomError(
            "metadata_form", "Must be an object of at most {most} members.", {"most": MAX_METADATA_KEYS}
        )
    for key, member in value.items():
        if problem := member_problem(key, member):
            raise PydanticCustomError(
                "metadata_value", "Member {key}: {problem}.", {"key": repr(key[:64]), "problem": problem}
            )
    return value


CollectionName = Annotated[
    str, Field(pattern=COLLECTION_NAME, examples=["handbook"], description="unique among the tenant's collections")
]
RecordId = Annotated[Text, Field(min_length=1, max_length=MAX_ID_CHARS, examples=["handbook.md#3"])]
Engine = Annotated[
    EngineName, BeforeValidator(_known_engine), Field(description="what keeps the collection", examples=["qdrant"])
]
Vector = Annotated[
    NDArray[np.float64],
    PlainValidator(_numbers),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "number", "minimum": -_FLOAT32_MAX, "maximum": _FLOAT32_MAX},
            "minItems": 1,
            "maxItems": MAX_DIMENSION,
            "examples": [[0.12, -0.5, 0.33]],
        }
    ),
]
MetadataField = Annotated[
    dict[str, Any],
    PlainValidator(_metadata),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MAX_METADATA_KEYS,
            "propertyNames": {"minLength": 1, "maxLength": MAX_METADATA_KEY_CHARS},
            "additionalProperties": {
                "anyOf": [
                    *_SCALAR_SCHEMA,
                    {"type": "array", "maxItems": MAX_METADATA_LIST, "items": {"anyOf": _SCALAR_SCHEMA}},
                ]
            },
            "examples": [{"year": 2024, "tags": ["draft", "legal"], "public": True}],
        }
    ),
]

# The filter language, for the document only: filters.parse reads it, because it can point at the part that is wrong.
FieldName = Annotated[str, Field(min_length=1, max_length=MAX_METADATA_KEY_CHARS)]
Scalar = Annotated[Any, WithJsonSchema({"anyOf": _SCALAR_SCHEMA})]
Filters = Annotated[list["FilterSchema"], Field(min_length=1, max_length=filters.MAX_LEAVES)]


class EqualityLeaf(RequestModel):
    """True where a value of the field equals `value`; `ne` is its negation."""

    field: FieldName
    op: Literal["eq", "ne"]
    value: Scalar


class RangeLeaf(RequestModel):
    """True where a number of the field is past `value`."""

    field: FieldName
    op: Literal["gt", "gte", "lt", "lte"]
    value: float


class MembershipLeaf(RequestModel):
    """True where a value of the field is among `value`; `nin` is its negation."""

    field: FieldName
    op: Literal["in", "nin"]
    value: Annotated[list[Scalar], Field(min_length=1, max_length=filters.MAX_VALUES)]


class ExistenceLeaf(RequestModel):
    """True where the field is there, or with `false` where it is not."""

    field: FieldName
    op: Literal["exists"]
    value: bool = True


class FilterAnd(RequestModel):
    all_of: Filters = Field(alias="and")


class FilterOr(RequestModel):
    any_of: Filters = Field(alias="or")


class FilterNot(RequestModel):
    none_of: "FilterSchema" = Field(alias="not")


FilterSchema = EqualityLeaf | RangeLeaf | MembershipLeaf | ExistenceLeaf | FilterAnd | FilterOr | FilterNot
FilterField = Annotated[
    Any,
    PlainValidator(lambda value: value, json_schema_input_type=FilterSchema),
    Field(
        description=f"at most {filters.MAX_DEPTH} levels and {filters.MAX_LEAVES} leaves",
        examples=[
            {"and": [{"field": "year", "op": "gte", "value": 2020}, {"not": {"field": "draft", "op": "exists"}}]}
        ],
    ),
]


class CollectionCreate(RequestModel):
    """A new collection."""

    name: CollectionName
    engine: Engine = EngineName.QDRANT
    dimension: int | None = Field(
        default=None, ge=1, le=MAX_DIMENSION, description="of its vectors; without it that of the embedding model"
    )
    metric: Metric = Field(default=Metric.COSINE, description="`l2` scores are negated distances: higher is better")


class CollectionRead(ResponseModel):
    """A collection."""

    name: str
    engine: EngineName
    dimension: int
    metric: Metric
    status: Literal["creating", "ready", "deleting", "unavailable"] = Field(
        description="`unavailable`: the engine does not answer; `creating`, `deleting`: repeat the request to finish it"
    )
    count: int | None = Field(description="records in it; null unless the status is `ready`")
    created_at: UtcDatetime


class StoreItem(RequestModel):
    """Text, a vector, or both. A text without a vector is embedded here."""

    id: RecordId | None = Field(
        default=None, description="the same id again replaces the record; without one it is made"
    )
    text: Annotated[Text, Field(min_length=1, max_length=MAX_TEXT_CHARS)] | None = None
    vector: Vector | None = None
    metadata: MetadataField = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_content(self) -> "StoreItem":
        if self.text is None and self.vector is None:
            raise PydanticCustomError("item_empty", "An item needs a text or a vector.")
        return self

    def to_item(self) -> Item:
        return Item(self.id, self.text, self.vector, self.metadata)


class StoreRequest(RequestModel):
    """What to store. A collection that is missing is made: on Qdrant, cosine, of the dimension of the vectors."""

    collection: CollectionName
    items: list[StoreItem] = Field(min_length=1, max_length=MAX_ITEMS)


class StoreResult(ResponseModel):
    """`ids` in the order of the items."""

    collection: str
    engine: EngineName
    stored: int = Field(description="records written; an id given twice counts once, and its last item wins")
    ids: list[str]


class SearchRequest(RequestModel):
    """A query in words, or a vector."""

    collection: CollectionName
    query: (
        Annotated[Text, Field(min_length=1, max_length=MAX_TEXT_CHARS, examples=["how do I rotate keys?"])] | None
    ) = None
    vector: Vector | None = None
    k: int = Field(default=10, ge=1, le=MAX_K, description="how many results at most")
    filter: FilterField | None = None
    mode: SearchMode = Field(default=SearchMode.DENSE, description="what an engine offers: GET /vectors/engines")

    @model_validator(mode="after")
    def _asks_once(self) -> "SearchRequest":
        if (self.query is None) is (self.vector is None):
            raise PydanticCustomError("query_or_vector", "Give either 'query' or 'vector'.")
        return self

    def condition(self) -> Condition | None:
        """Raises FilterInvalid."""
        return None if self.filter is None else filters.parse(self.filter)


class SearchMatch(ResponseModel):
    """One result."""

    id: str
    score: float = Field(description="higher is better whatever the metric")
    text: str | None
    metadata: dict[str, Any]


class SearchResult(ResponseModel):
    """Best first; equal scores by id."""

    collection: str
    engine: EngineName
    results: list[SearchMatch]
    took_ms: float = Field(description="embedding the query included")


class DeleteRequest(RequestModel):
    """Which records to delete: by id, or by filter."""

    collection: CollectionName
    ids: Annotated[list[RecordId], Field(min_length=1, max_length=MAX_ITEMS)] | None = None
    filter: FilterField | None = None

    @model_validator(mode="after")
    def _names_once(self) -> "DeleteRequest":
        if (self.ids is None) is (self.filter is None):
            raise PydanticCustomError("ids_or_filter", "Give either 'ids' or 'filter'.")
        return self

    def wanted(self) -> list[str] | Condition:
        """Raises FilterInvalid."""
        return filters.parse(self.filter) if self.ids is None else self.ids


class DeleteResult(ResponseModel):
    collection: str
    engine: EngineName
    deleted: int = Field(description="records that were there")


class RecordRead(ResponseModel):
    """A record; under cosine its vector is at unit length."""

    id: str
    text: str | None
    metadata: dict[str, Any]
    vector: list[float]


class EngineRead(ResponseModel):
    """What an engine can do here."""

    name: EngineName
    backend: str = Field(description="what stands behind the name in this deployment")
    is_default: bool
    modes: list[SearchMode]
    metrics: list[Metric]
    exact: bool = Field(description="whether every search compares all vectors; if not, a few neighbours may be missed")
    filter_ops: list[Op]
    max_dimension: int
    max_items: int
    max_k: int
    max_text_chars: int
    max_metadata_keys: int


class EngineList(ResponseModel):
    items: list[EngineRead]
