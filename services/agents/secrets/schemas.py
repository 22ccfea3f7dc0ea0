"""Secrets as callers write and list them."""

from typing import Annotated, Final

from fastapi import Path
from pydantic import AfterValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from services.agents.secrets.domain import LONGEST_VALUE
from shared.schemas import RequestModel, ResponseModel, SecretText, UtcDatetime

_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
SecretName = Annotated[str, Path(pattern=_NAME, description="of the secret", examples=["WEATHER_KEY"])]


def _within_bounds(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if len(text.encode()) > LONGEST_VALUE or "\x00" in text:
        raise PydanticCustomError("secret_value", "must have at most {most} bytes, and no NUL", {"most": LONGEST_VALUE})
    return value


class SecretPut(RequestModel):
    """The value from now on."""

    value: Annotated[
        SecretText,
        Field(min_length=1, max_length=LONGEST_VALUE, description="it is not shown again", examples=["k-93ae7c"]),
        AfterValidator(_within_bounds),
    ]


class SecretRead(ResponseModel):
    """That there is a secret of this name."""

    name: str
    created_at: UtcDatetime
    updated_at: UtcDatetime = Field(description="when its value was last written")
