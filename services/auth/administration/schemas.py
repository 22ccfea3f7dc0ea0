"""Users as administrators see them."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query
from pydantic import Field

from shared.schemas import Id, ResponseModel, Text, UtcDatetime


@dataclass(frozen=True, slots=True)
class UserFilters:
    """Which users; all that are given must match."""

    q: Annotated[
        Text | None, Query(min_length=1, max_length=254, description="how the e-mail address or the name begins")
    ] = None
    is_disabled: Annotated[bool | None, Query(description="only those who may not log in, or only those who may")] = (
        None
    )


class UserRead(ResponseModel):
    """A user of the installation; never their password."""

    id: Id
    email: str
    name: str | None
    tenant_id: Id = Field(description="the tenant that was made with the account")
    email_verified: bool = Field(description="whether the address was proved, as `GET /auth/me` says")
    is_admin: bool = Field(description="whether this account may administer the installation")
    created_at: UtcDatetime
    disabled_at: UtcDatetime | None = Field(description="null while the user may log in")
