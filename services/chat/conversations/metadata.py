"""What callers keep beside a conversation: a few values under names of their own, by which it is found again."""

from collections.abc import Mapping
from typing import Annotated

import orjson
from fastapi import Query
from pydantic import Field

from shared.schemas import Scalar, Text, scalar

_KEY = r"^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}"
_LONGEST_VALUE = 512


Metadata = Annotated[
    dict[Annotated[str, Field(pattern=f"{_KEY}$")], Annotated[Scalar, scalar(_LONGEST_VALUE)]],
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
