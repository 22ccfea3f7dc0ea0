"""What callers keep beside a conversation: a few values under names of their own, by which it is found again."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from fastapi import Query
from pydantic import Field, PlainValidator, TypeAdapter
from pydantic_core import PydanticCustomError

from shared.schemas import Text

Scalar = bool | int | float | str
_KEY = r"^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}"
_LARGEST_NUMBER = 2**53 - 1  # beyond it JavaScript and others round integers
_LONGEST_VALUE = 256
_TEXT: TypeAdapter[str] = TypeAdapter(Text)


def _scalar(value: Any) -> Scalar:
    match value:
        case bool():
            return value
        case int() | float() if math.isfinite(value) and abs(value) <= _LARGEST_NUMBER:
            return value
        case str() if len(value) <= _LONGEST_VALUE:
            return _TEXT.validate_python(value)
    message = "must be a boolean, a number between -(2^53 - 1) and 2^53 - 1, or a text of at most {longest} characters"
    raise PydanticCustomError("metadata_value", message, {"longest": _LONGEST_VALUE})


_Value = Annotated[
    Scalar,
    PlainValidator(
        _scalar,
        json_schema_input_type=bool
        | Annotated[float, Field(ge=-_LARGEST_NUMBER, le=_LARGEST_NUMBER)]
        | Annotated[str, Field(max_length=_LONGEST_VALUE)],
    ),
]
Metadata = Annotated[
    dict[Annotated[str, Field(pattern=f"{_KEY}$")], _Value],
    Field(
        max_length=32,
        json_schema_extra={"additionalProperties": False},
        description="values of your own, given back as they are; lists can be narrowed to them",
        examples=[{"customer": "4711"}],
    ),
]
MetadataFilter = Annotated[
    list[Annotated[Text, Field(pattern=f"{_KEY}=", max_length=_LONGEST_VALUE + 65)]] | None,
    Query(
        max_length=8,
        description="`key=value`, all of them: only conversations with these metadata, a number or boolean as JSON "
        "writes it",
        examples=[["customer=4711"]],
    ),
]


def tags_of(metadata: Mapping[str, Scalar]) -> str:
    """The metadata as one text in which each `key=value` stands between two NULs, which neither of them has."""
    return "\0".join(["", *[f"{key}={_text(value)}" for key, value in metadata.items()], ""])


def _text(value: Scalar) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
