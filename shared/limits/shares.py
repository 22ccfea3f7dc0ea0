"""The places of a bounded resource, shared: no user and no tenant can hold so many that a neighbour finds none."""

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
        self._held = dict[tuple[str, ...], int]()  # whoever holds none is not in it
        self.free = places

    def take(self, tenant_id: str, user_id: str) -> "Place | None":
        """A place, to be given back; None when all are taken, or those that are left are others'. Raises ShareTaken."""
        tenant, user = (tenant_id,), (tenant_id, user_id)
        of_user, of_tenant = self._held.get(user, 0), self._held.get(tenant, 0)
        if of_user >= self.of_a_user:
            raise ShareTaken("One user", self.what, self.of_a_user)
        if of_tenant >= self.of_a_tenant:
            raise ShareTaken("One tenant", self.what, self.of_a_tenant)
        if self.free <= (self.reserved if of_tenant else 0):
            return None
        self.free -= 1
        self._held[user], self._held[tenant] = of_user + 1, of_tenant + 1
        return Place(self, tenant, user)

    def take_back(self, owners: tuple[tuple[str, ...], ...]) -> None:
        """One that each of `owners` held."""
        self.free += 1
        for owner in owners:
            left = self._held[owner] - 1
            if left:
                self._held[owner] = left
            else:
                del self._held[owner]


class Place:
    """One place, held until `give_back`."""

    __slots__ = ("_owners", "_shares")

    def __init__(self, shares: Shares, *owners: tuple[str, ...]) -> None:
        self._shares, self._owners = shares, owners

    def give_back(self) -> None:
        """May be called again."""
        owners, self._owners = self._owners, ()
        if owners:
            self._shares.take_back(owners)
