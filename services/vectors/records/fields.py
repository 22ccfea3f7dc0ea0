"""The parts of a record in bodies: checked by hand, because a thousand vectors are, and documented to the letter."""

import base64
from array import array
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from services.vectors.domain import (
    MAX_DIMENSION,
    MAX_ID_CHARS,
    MAX_INTEGER,
    MAX_METADATA_KEY_CHARS,
    MAX_METADATA_KEYS,
    MAX_METADATA_LIST,
    MAX_METADATA_STRING_CHARS,
    Metadata,
    MetadataChanges,
)
from services.vectors.metadata import key_problem, member_problem
from shared.schemas import PathText

SCALAR_SCHEMA: list[dict[str, Any]] = [
    {"type": "string", "maxLength": MAX_METADATA_STRING_CHARS},
    {"type": "number", "description": f"integers up to ±{MAX_INTEGER}"},
    {"type": "boolean"},
]
_FLOAT32_MAX = 3.4e38
_FLOAT_BYTES = 4
_MAX_CODED = -(-MAX_DIMENSION * _FLOAT_BYTES // 3) * 4


def _numbers(value: object) -> NDArray[np.floating[Any]]:
    if isinstance(value, np.ndarray):  # a row of a matrix, which no JSON can say
        return value
    if isinstance(value, str):
        return _coded(value)
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_DIMENSION:
        raise PydanticCustomError(
            "vector_form", "Must be a list of 1 to {most} numbers, or their base64.", {"most": MAX_DIMENSION}
        )
    if not set(map(type, value)) <= {float, int}:
        raise PydanticCustomError("vector_form", "Every element must be a number.")
    try:
        return np.frombuffer(array("d", value))
    except OverflowError as error:
        raise PydanticCustomError("vector_form", "Every number must be finite in 32-bit floating point.") from error


def _coded(value: str) -> NDArray[np.floating[Any]]:
    """Whether its numbers are finite is asked where those of lists are."""
    try:
        decoded = base64.b64decode(value, validate=True)
    except ValueError as error:
        raise PydanticCustomError("vector_form", "Is text, but no base64 of RFC 4648.") from error
    count, rest = divmod(len(decoded), _FLOAT_BYTES)
    if rest or not 1 <= count <= MAX_DIMENSION:
        raise PydanticCustomError(
            "vector_form",
            "Must be the base64 of 1 to {most} little-endian 32-bit floats; it is of {given} bytes.",
            {"most": MAX_DIMENSION, "given": len(decoded)},
        )
    return np.frombuffer(decoded, "<f4")


def _metadata(value: object) -> Metadata:
    return _members(value, member_problem)


def _changes(value: object) -> MetadataChanges:
    return _members(value, lambda key, member: key_problem(key) if member is None else member_problem(key, member))


def _members(value: object, problem_of: Callable[[str, object], str | None]) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > MAX_METADATA_KEYS:
        raise PydanticCustomError(
            "metadata_form", "Must be an object of at most {most} members.", {"most": MAX_METADATA_KEYS}
        )
    for key, member in value.items():
        if problem := problem_of(key, member):
            raise PydanticCustomError(
                "metadata_value", "Member {key}: {problem}.", {"key": repr(key[:64]), "problem": problem}
            )
    return value


RecordId = Annotated[PathText, Field(min_length=1, max_length=MAX_ID_CHARS, examples=["handbook.md#3"])]
Vector = Annotated[
    NDArray[np.floating[Any]],
    PlainValidator(_numbers),
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "array",
                    "items": {"type": "number", "minimum": -_FLOAT32_MAX, "maximum": _FLOAT32_MAX},
                    "minItems": 1,
                    "maxItems": MAX_DIMENSION,
                },
                {
                    "type": "string",
                    "description": "the base64 of little-endian 32-bit floats",
                    "contentEncoding": "base64",
                    "pattern": "^[A-Za-z0-9+/]+={0,2}$",
                    "minLength": 8,
                    "maxLength": _MAX_CODED,
                },
            ],
            "examples": [[0.12, -0.5, 0.33]],
        }
    ),
]


def _schema(members: list[dict[str, Any]], example: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MAX_METADATA_KEYS,
            "propertyNames": {"minLength": 1, "maxLength": MAX_METADATA_KEY_CHARS},
            "additionalProperties": {"anyOf": members},
            "examples": [example],
        }
    )


_MEMBERS = [*SCALAR_SCHEMA, {"type": "array", "maxItems": MAX_METADATA_LIST, "items": {"anyOf": SCALAR_SCHEMA}}]
MetadataField = Annotated[
    dict[str, Any],
    PlainValidator(_metadata),
    _schema(_MEMBERS, {"year": 2024, "tags": ["draft", "legal"], "public": True}),
]
MetadataChangesField = Annotated[
    dict[str, Any],
    PlainValidator(_changes),
    _schema([*_MEMBERS, {"type": "null"}], {"year": 2025, "draft": None}),
]
