"""Accounts as callers see them."""

from typing import Annotated

from pydantic import AfterValidator, EmailStr, Field, SecretStr

from shared.ids import Id
from shared.schemas import RequestModel, ResponseModel, Text, UtcDatetime


def _normalised(email: str) -> str:
    # One account an address, however it is typed; the local part's case matters to no provider in practice.
    return email.lower()


Email = Annotated[EmailStr, Field(max_length=254, examples=["ada@example.com"]), AfterValidator(_normalised)]
PersonName = Annotated[Text, Field(min_length=1, max_length=200, examples=["Ada Lovelace"])]


class Registration(RequestModel):
    """A new account."""

    email: Email
    password: SecretStr = Field(min_length=8, max_length=128, examples=["correct horse battery staple"])
    name: PersonName | None = None


class ProfileUpdate(RequestModel):
    """What one may change about oneself."""

    name: PersonName | None = Field(examples=["Ada King"])


class AccountRead(ResponseModel):
    """An account; never its password."""

    id: Id
    email: str
    name: str | None
    tenant_id: Id
    created_at: UtcDatetime
