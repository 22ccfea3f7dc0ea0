"""An account before it is kept: all that registering answers, made before anybody looks whether the address is free."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from shared.schemas import new_id


@dataclass(frozen=True, slots=True)
class NewAccount:
    """A user and the tenant of their own that comes with them."""

    id: str
    tenant_id: str
    email: str
    name: str | None
    created_at: datetime

    @classmethod
    def drafted(cls, email: str, name: str | None) -> Self:
        """With ids and a time of now.

        One that is kept and one that is only pretended come out of here alike: nothing in them may depend on which of
        the two they become.
        """
        tenant_id, user_id = new_id(), new_id()
        return cls(user_id, tenant_id, email, name, datetime.now(UTC))

    @property
    def tenant_name(self) -> str:
        """What their tenant is called."""
        return self.name or self.email
