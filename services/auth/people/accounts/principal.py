"""A user in a tenant: who acts, and with which rights."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.auth.models import User
from services.auth.people.tenants.domain import TenantOfUser
from services.auth.trust.scopes import Role, scopes_of


@dataclass(frozen=True, slots=True)
class Principal:
    """An enabled user and their role in one of their tenants.

    `at` is when that was so, by the database's clock: replicas whose clocks differ agree on what a revocation is after.
    """

    user: User
    tenant_id: str
    role: Role
    at: datetime

    @property
    def scopes(self) -> frozenset[str]:
        """Everything the user may be granted here. The installation is administered from the user's own tenant only."""
        return scopes_of(self.role, is_admin=self.user.is_admin and self.tenant_id == self.user.tenant_id)


@dataclass(frozen=True, slots=True)
class Profile:
    """Who somebody is in one tenant, and all the tenants they belong to."""

    principal: Principal
    tenants: Sequence[TenantOfUser]
