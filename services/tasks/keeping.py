"""For how long a task is kept after its end: the closest word on it decides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

ANY_KIND: Final = "*"
"""Of a tenant: what it says nothing else of."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """Days, for all, for kinds, and for tenants by kind or `ANY_KIND`."""

    days: float
    of_kinds: Mapping[str, float] = field(default_factory=dict)
    of_tenants: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def days_of(self, tenant_id: str, kind: str, own: float | None = None) -> float:
        """The tenant's word on the kind, on all of its own, the operator's on the kind, the kind's `own`, that on all.

        Neither the shortest nor the longest: what a tenant was promised holds, whether that is to keep or to forget.
        """
        tenants = self.of_tenants.get(tenant_id, {})
        said = (tenants.get(kind), tenants.get(ANY_KIND), self.of_kinds.get(kind), own)
        return next((days for days in said if days is not None), self.days)

    def kinds(self) -> set[str]:
        """Those that are named."""
        return {*self.of_kinds, *(kind for tenant in self.of_tenants.values() for kind in tenant)} - {ANY_KIND}
