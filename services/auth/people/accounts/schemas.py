"""Accounts as callers see them."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field

from services.auth.people.accounts.address import MAX_LENGTH, address
from services.auth.people.accounts.principal import Profile
from services.auth.people.passwords.schemas import Password
from services.auth.people.tenants.schemas import TenantRead
from services.auth.trust.scopes import Role
from shared.schemas import Id, RequestModel, ResponseModel, Text, UtcDatetime

Email = Annotated[
    str,
    Field(max_length=MAX_LENGTH, json_schema_extra={"format": "email"}, examples=["ada@example.com"]),
    AfterValidator(address),
]
"""An address in its one spelling, however it was typed."""
PersonName = Annotated[Text, Field(min_length=1, max_length=200, examples=["Ada Lovelace"])]


class Registration(RequestModel):
    """A new account."""

    email: Email
    password: Password
    name: PersonName | None = None


class ProfileUpdate(RequestModel):
    """What one may change about oneself."""

    name: PersonName | None = Field(examples=["Ada King"])


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
    email_verified: bool = Field(
        description="whether the address was proved: by the token of a letter, or because nothing could be proved when "
        "the account was made; until then it acts on nobody else"
    )
    tenants: list[TenantRead] = Field(description="all the tenants the account belongs to")

    @classmethod
    def of(cls, profile: Profile) -> Self:
        principal, user = profile.principal, profile.principal.user
        return cls(
            id=user.id,
            email=user.email,
            name=user.name,
            tenant_id=principal.tenant_id,
            created_at=user.created_at,
            role=principal.role,
            is_admin=user.is_admin,
            email_verified=user.email_verified,
            tenants=[TenantRead.model_validate(tenant) for tenant in profile.tenants],
        )
