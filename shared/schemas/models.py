"""The base of every request and response model, so that all of them refuse what they do not know."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    model_validator,
)
from pydantic_core import PydanticCustomError

_TOLD_MEMBERS: Final = 20  # as many refusals as an answer names


class RequestModel(BaseModel):
    """A body a caller sends: unknown fields are refused, text is stripped of nothing, NUL is refused by `Text`."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


class LargeModel(RequestModel):
    """Any object of a body that may hold more than the usual thousand values."""

    @model_validator(mode="before")
    @classmethod
    def _is_no_crowd(cls, value: Any) -> Any:
        """A refusal of each unknown member costs a hundred times what the member did: of many, one for all."""
        most = len(cls.model_fields) + _TOLD_MEMBERS
        if isinstance(value, dict) and len(value) > most:
            raise PydanticCustomError(
                "extra_forbidden",
                "An object of {known} members has {given}: unknown ones are not permitted.",
                {"known": len(cls.model_fields), "given": len(value)},
            )
        return value


class ResponseModel(BaseModel):
    """A body we send; built from attributes, so a domain object can be returned as it is."""

    model_config = ConfigDict(from_attributes=True)


class SecretModel(ResponseModel):
    """A body we send with something in it by which its reader may act; its route tells everybody not to keep it."""


def _without_nul(value: str) -> str:
    if "\x00" in value:
        raise ValueError("must not contain the NUL character")
    value.encode("utf-8")  # a lone surrogate cannot be stored anywhere: ValueError, so 422
    return value


Text = Annotated[str, AfterValidator(_without_nul)]
"""Text that every store can keep: no NUL (PostgreSQL refuses it), no lone surrogates. Add your own length bounds."""


def _with_whole_characters(value: SecretStr) -> SecretStr:
    try:
        value.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a character, which no encoding has") from None  # and not its own text: it shows it
    return value


SecretText = Annotated[SecretStr, AfterValidator(_with_whole_characters)]
"""A secret that is hashed or compared: any characters, no lone surrogates. Add your own length bounds."""

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def _written_out(value: object) -> object:
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE.match(value)):
        return value
    raise PydanticCustomError("datetime_parsing", "Must be a date and time as RFC 3339 writes them.")


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_written_out),  # by itself Pydantic takes a number for the seconds since 1970
    Field(ge=datetime(1, 1, 2, tzinfo=UTC), le=datetime(9999, 12, 30, tzinfo=UTC), examples=["2999-01-01T00:00:00Z"]),
]
"""A time that a caller names, which every store and every time zone can express."""


def rfc3339(value: datetime) -> str:
    """`value` as everything we send says a time: in UTC, with milliseconds."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


UtcDatetime = Annotated[AwareDatetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]
"""RFC 3339 in UTC with milliseconds."""
