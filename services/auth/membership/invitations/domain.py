"""What comes of an invitation that was accepted."""

from dataclasses import dataclass

from services.auth.models import User
from services.auth.people.tenants.domain import TenantOfUser


@dataclass(frozen=True, slots=True)
class Joined:
    """Who belongs to which tenant now."""

    user: User
    tenant: TenantOfUser
