"""Secrets as callers write and list them."""

import re
from typing import Annotated, Final

from fastapi import Path
from pydantic import AfterValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from services.agents.secrets.domain import LONGEST_VALUE, SHORTEST_VALUE
from shared.schemas import RequestModel, ResponseModel, SecretText, UtcDatetime

_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
SecretName = Annotated[str, Path(pattern=_NAME, description="of the secret", examples=["WEATHER_KEY"])]


def _fit_for_headers(value: SecretStr) -> SecretStr:
    """What a header does not hold, or a server reads without its ends, is not found in an answer either."""
    if not _VALUE.fullmatch(value.get_secret_value()):
        raise PydanticCustomError("secret_value", "must be printable ASCII, as headers are, without blanks at its ends")
    return value


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


class SecretRead(ResponseModel):
    """That there is a secret of this name."""

    name: str
    created_at: UtcDatetime
    updated_at: UtcDatetime = Field(description="when its value was last written")
