"""Tenants on the wire."""

from pydantic import Field

from services.auth.trust.scopes import Role
from shared.schemas import Id, ResponseModel


class TenantRead(ResponseModel):
    """A tenant, and what the user is in it."""

    id: Id = Field(description="`tenant_id` of `POST /auth/token`, to act in it")
    name: str
    role: Role
