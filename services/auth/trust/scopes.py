"""The scopes there are: which a role in a tenant gives, and which a service has on its own account.

What users may be granted over a service's things stands in `services.topology`.
"""

from collections.abc import Iterable

from services.auth.errors import ScopeNotAllowed
from services.topology import SERVICES
from shared.identity import is_covered
from shared.words import Word

FOLLOW, EXCHANGE, DELEGATE, INTROSPECT = "access:follow", "keys:exchange", "tokens:delegate", "auth:introspect"
"""What services ask of auth; administrators may introspect too."""
_EVERY_SERVICE = frozenset({FOLLOW, EXCHANGE, INTROSPECT})


class Role(Word):
    """What a user is in a tenant; each may do what the one before may, and more."""

    VIEWER = "viewer"
    MEMBER = "member"
    OWNER = "owner"

    def is_lower_than(self, other: "Role") -> bool:
        """Whether it may do less."""
        order = list(Role)
        return order.index(self) < order.index(other)


def _over_all_services(*ranks: str) -> frozenset[str]:
    return frozenset(
        scope for service in SERVICES.values() for rank in ranks for scope in getattr(service.scopes, rank)
    )


_OF_ROLE = {
    Role.VIEWER: _over_all_services("viewer"),
    Role.MEMBER: _over_all_services("viewer", "member"),
    Role.OWNER: _over_all_services("viewer", "member", "owner"),
}
_ADMIN = _over_all_services("admin")


def scopes_of(role: Role, *, is_admin: bool) -> frozenset[str]:
    """Everything a user of this role may be granted; an administrator of the installation holds more."""
    return _OF_ROLE[role] | _ADMIN if is_admin else _OF_ROLE[role]


def scopes_of_service(name: str) -> frozenset[str]:
    """What a service may do on its own account; whatever else it does, it does with the token of its caller.

    An installation may give a service another name as a client: that is no name of the topology, and acts for nobody.
    """
    service = SERVICES.get(name)
    return _EVERY_SERVICE | {DELEGATE} if service and service.acts_later else _EVERY_SERVICE


def granted(requested: Iterable[str], allowed: frozenset[str]) -> frozenset[str]:
    """The requested scopes, with `agents:*` spelled out; all allowed ones when none were named.

    Raises ScopeNotAllowed for any that `allowed` does not cover.
    """
    found: set[str] = set()
    beyond: set[str] = set()
    for scope in requested:
        given = _spelled_out(scope, allowed)
        (found if given else beyond).update(given or {scope})
    if beyond:
        raise ScopeNotAllowed(beyond)
    return frozenset(found) or allowed


def _spelled_out(scope: str, allowed: frozenset[str]) -> set[str]:
    """The scope itself, or what its `*` stands for; nothing when `allowed` does not cover it."""
    prefix, _, action = scope.rpartition(":")
    resource = prefix.partition(":")[0]
    actions = {one.rpartition(":")[2] for one in allowed if one.startswith(f"{resource}:")}
    wanted = {f"{prefix}:{one}" for one in actions} if action == "*" else {scope}
    return {one for one in wanted if is_covered(one, allowed)}


def remaining(scopes: Iterable[str], allowed: frozenset[str]) -> frozenset[str]:
    """Those of the scopes that are still covered: a right the owner has lost is lost to what they gave away."""
    return frozenset(scope for scope in scopes if is_covered(scope, allowed))
