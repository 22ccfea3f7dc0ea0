"""Invitations on the wire. The token is in none of the answers: it goes by mail only."""

from typing import Annotated, Self

from pydantic import Field

from services.auth.membership.invitations.domain import Joined
from services.auth.people.accounts.schemas import Email, PersonName
from services.auth.people.passwords.schemas import Password
from services.auth.people.tenants.schemas import TenantRead
from services.auth.trust.scopes import Role
from shared.schemas import Id, RequestModel, ResponseModel, SecretText, UtcDatetime


class InvitationCreate(RequestModel):
    """Whom to invite, and as what."""

    email: Email
    role: Role = Field(description="`viewer` reads, `member` also writes, `owner` also decides who belongs here")


class InvitationRead(ResponseModel):
    """An offer that was neither accepted nor withdrawn, and still holds."""

    id: Id
    email: str
    role: Role
    invited_by: Id = Field(description="the user who made the offer")
    expires_at: UtcDatetime
    created_at: UtcDatetime


class InvitationAccept(RequestModel):
    """The token out of the mail, with the password of the account, or the one that a new account shall have."""

    token: Annotated[
        SecretText,
        Field(min_length=1, max_length=128, examples=["3q2-7wABCdefGHIjklMNOpqrSTUvwxYZ0123456789_-abc"]),
    ]
    password: Password
    name: PersonName | None = Field(default=None, description="of a new account; an existing one keeps its own")


class Acceptance(ResponseModel):
    """Who joined what. `POST /auth/token` with the tenant's id gives a token for it."""

    user_id: Id
    email: str
    tenant: TenantRead

    @classmethod
    def of(cls, joined: Joined) -> Self:
        tenant = TenantRead.model_validate(joined.tenant)
        return cls(user_id=joined.user.id, email=joined.user.email, tenant=tenant)
