"""Secrets as callers write and list them."""

import re
from typing import Annotated, Final

from fastapi import Path
from pydantic import AfterValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from services.agents.schemas import unique
from services.agents.secrets.domain import LONGEST_VALUE, SHORTEST_VALUE
from services.agents.secrets.hosts import LONGEST_HOST, MOST_HOSTS, usual_host
from shared.schemas import RequestModel, ResponseModel, SecretText, Text, UtcDatetime

_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
SecretName = Annotated[str, Path(pattern=_NAME, description="of the secret", examples=["WEATHER_KEY"])]


def _fit_for_headers(value: SecretStr) -> SecretStr:
    """What a header does not hold, or a server reads without its ends, is not found in an answer either."""
    if not _VALUE.fullmatch(value.get_secret_value()):
        raise PydanticCustomError("secret_value", "must be printable ASCII, as headers are, without blanks at its ends")
    return value


def _known_host(text: str) -> str:
    try:
        return usual_host(text)
    except ValueError as error:
        raise PydanticCustomError("secret_host", "{detail}", {"detail": str(error)}) from error


class SecretPut(RequestModel):
    """The value from now on."""

    value: Annotated[
        SecretText,
        Field(
            min_length=SHORTEST_VALUE,
            max_length=LONGEST_VALUE,
            description="it is not shown again",
            examples=["k-93ae7c"],
        ),
        AfterValidator(_fit_for_headers),
    ]
    hosts: Annotated[
        tuple[
            Annotated[
                Text,
                Field(min_length=1, max_length=LONGEST_HOST, examples=["weather.example.com"]),
                AfterValidator(_known_host),
            ],
            ...,
        ],
        Field(
            min_length=1,
            max_length=MOST_HOSTS,
            description="where it may be sent to, and nowhere else: hosts, or `*.example.org` for all below a domain",
            examples=[["weather.example.com"]],
        ),
        AfterValidator(unique),
    ]


class SecretRead(ResponseModel):
    """That there is a secret of this name."""

    name: str
    hosts: list[str] | None = Field(description="where it may be sent to; null of one of an earlier release: anywhere")
    warning: str | None = Field(description="what its owner should see to")
    created_at: UtcDatetime
    updated_at: UtcDatetime = Field(description="when its value was last written")
