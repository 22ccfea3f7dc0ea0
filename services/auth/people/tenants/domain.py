"""Members of a tenant, and the tenants of a user."""

from dataclasses import dataclass
from datetime import datetime

from services.auth.trust.scopes import Role

MAX_TENANTS = 100
"""How many tenants one user may belong to, their own among them: `/auth/me` lists them all."""


@dataclass(frozen=True, slots=True)
class Member:
    """A user as one tenant sees them; `created_at` is when they joined."""

    user_id: str
    email: str
    name: str | None
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TenantOfUser:
    """A tenant as one of its members sees it."""

    id: str
    name: str
    role: Role
