"""Accounts as callers see them."""

from typing import Annotated

from pydantic import AfterValidator, EmailStr, Field, SecretStr

from services.auth.people.tenants.schemas import TenantRead
from services.auth.trust.scopes import Role
from shared.schemas import Id, RequestModel, ResponseModel, Text, UtcDatetime


def _normalised(email: str) -> str:
    # One account an address, however it is typed; the local part's case matters to no provider in practice.
    return email.lower()


Email = Annotated[EmailStr, Field(max_length=254, examples=["ada@example.com"]), AfterValidator(_normalised)]
PersonName = Annotated[Text, Field(min_length=1, max_length=200, examples=["Ada Lovelace"])]
Password = Annotated[
    SecretStr,
    Field(
        min_length=8,
        max_length=128,
        description="any characters; the most common passwords are refused",
        examples=["correct horse battery staple"],
    ),
]


class Registration(RequestModel):
    """A new account."""

    email: Email
    password: Password
    name: PersonName | None = None


class ProfileUpdate(RequestModel):
    """What one may change about oneself."""

    name: PersonName | None = Field(examples=["Ada King"])


class PasswordChange(RequestModel):
    """The old password and the new one."""

    current_password: SecretStr = Field(min_length=1, max_length=128, examples=["correct horse battery staple"])
    new_password: Password


class AccountRead(ResponseModel):
    """An account; never its password."""

    id: Id
    email: str
    name: str | None
    tenant_id: Id = Field(description="the tenant that was made with it; in `/auth/me` the one the token acts in")
    created_at: UtcDatetime


class ProfileRead(AccountRead):
    """An account, in the tenant the caller acts in."""

    role: Role = Field(description="in this tenant")
    is_admin: bool = Field(description="whether this account may administer the installation")
    tenants: list[TenantRead] = Field(description="all the tenants the account belongs to")
