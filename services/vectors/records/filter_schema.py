"""The filter language as the document shows it. `filters.parse` reads it: it can point at the part that is wrong."""

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from services.vectors.domain import MAX_METADATA_KEY_CHARS
from services.vectors.records.fields import SCALAR_SCHEMA
from services.vectors.records.filters import MAX_DEPTH, MAX_LEAVES, MAX_VALUES
from shared.schemas import RequestModel

FieldName = Annotated[str, Field(min_length=1, max_length=MAX_METADATA_KEY_CHARS)]
Scalar = Annotated[Any, WithJsonSchema({"anyOf": SCALAR_SCHEMA})]
Filters = Annotated[list["FilterSchema"], Field(min_length=1, max_length=MAX_LEAVES)]


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
    value: Annotated[list[Scalar], Field(min_length=1, max_length=MAX_VALUES)]


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
        description=f"at most {MAX_DEPTH} levels and {MAX_LEAVES} leaves",
        examples=[
            {"and": [{"field": "year", "op": "gte", "value": 2020}, {"not": {"field": "draft", "op": "exists"}}]}
        ],
    ),
]
