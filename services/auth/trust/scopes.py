"""The scopes there are, and which a role in a tenant gives."""

from collections.abc import Iterable
from enum import StrEnum

from services.auth.errors import ScopeNotAllowed
from shared.identity import is_covered

_READING = frozenset(
    {"auth:profile", "auth:keys", "agents:read", "chat:read", "vectors:read", "tasks:read", "members:read"}
)
_WRITING = frozenset({"agents:write", "chat:write", "vectors:write", "tasks:write"})
_ADMIN = frozenset({"admin", "auth:introspect"})


class Role(StrEnum):
    """What a user is in a tenant; each may do what the one before may, and more."""

    VIEWER = "viewer"
    MEMBER = "member"
    OWNER = "owner"


_OF_ROLE = {
    Role.VIEWER: _READING,
    Role.MEMBER: _READING | _WRITING,
    Role.OWNER: _READING | _WRITING | {"members:write"},
}


def scopes_of(role: Role, *, is_admin: bool) -> frozenset[str]:
    """Everything a user of this role may be granted; an administrator of the installation holds more."""
    return _OF_ROLE[role] | _ADMIN if is_admin else _OF_ROLE[role]


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
