"""The places of a bounded resource, shared: no user and no tenant can hold so many that a neighbour finds none."""

from collections import Counter
from typing import Final

from shared.errors import RateLimited

USER_SHARE: Final = 4
"""One in so many places is the most that a user holds."""
TENANT_SHARE: Final = 2
"""One in so many places is the most that a tenant holds."""
RESERVED_SHARE: Final = 8
"""One in so many places, the last ones, goes to tenants only that hold none: two greedy ones leave a third its turn."""


class ShareTaken(RateLimited):
    code = "common.share_taken"
    meaning = (
        "The caller, or the tenant, has as many of these under way as one may; `Retry-After` says when to try again."
    )

    def __init__(self, whose: str, what: str, places: int) -> None:
        super().__init__(f"{whose} may have {places} {what} under way at once.")


class Shares:
    """The places of one process for `what`, in the plural as callers know it."""

    def __init__(self, what: str, places: int) -> None:
        self.what, self.places = what, places
        self.of_a_user = max(1, places // USER_SHARE)
        self.of_a_tenant = max(1, places // TENANT_SHARE)
        self.reserved = places // RESERVED_SHARE
        self._held: Counter[tuple[str, ...]] = Counter()
        self.free = places

    def take(self, tenant_id: str, user_id: str) -> "Place | None":
        """A place, to be given back; None when all are taken, or those that are left are others'. Raises ShareTaken."""
        tenant, user = (tenant_id,), (tenant_id, user_id)
        if self._held[user] >= self.of_a_user:
            raise ShareTaken("One user", self.what, self.of_a_user)
        if self._held[tenant] >= self.of_a_tenant:
            raise ShareTaken("One tenant", self.what, self.of_a_tenant)
        if self.free <= (self.reserved if self._held[tenant] else 0):
            return None
        return Place(self, tenant, user)

    def _count(self, owners: tuple[tuple[str, ...], ...], more: int) -> None:
        self.free -= more
        for owner in owners:
            self._held[owner] += more
            if not self._held[owner]:
                del self._held[owner]  # a counter keeps a zero for everyone who ever came


class Place:
    """One place, held until `give_back`."""

    def __init__(self, shares: Shares, *owners: tuple[str, ...]) -> None:
        self._shares, self._owners = shares, owners
        shares._count(owners, 1)

    def give_back(self) -> None:
        """May be called again."""
        owners, self._owners = self._owners, ()
        if owners:
            self._shares._count(owners, -1)
